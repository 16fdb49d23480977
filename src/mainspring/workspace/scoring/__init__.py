"""The ML Test Score of a model: gather what ran, judge it, keep the trend; and rehearse.

``gathering`` makes the facts, ``scores`` judges them and keeps the trend. What needs an act of
its own is in ``drill`` (roll back under load), ``privacy``, ``debugging`` and ``exercise``.
"""
