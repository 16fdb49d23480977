"""Start pipelines when something happens: data, a file, a model, a run, an alarm, a webhook.

Read first: :mod:`sources` (what happened), :mod:`noticing` (which work that makes),
:mod:`templates` (how a run's params and a filter are made of an event).
"""
