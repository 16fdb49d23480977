"""Pipelines: steps that are run once and reused for as long as nothing they depend on changes.

Read first: :mod:`declare` (what a user writes), :mod:`graph` (what it is traced to),
:mod:`runs` (what is run, what is reused, and why).
"""
