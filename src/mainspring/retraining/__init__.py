"""Retraining: which rows to learn from, whether it pays, and whether the new version is better.

Read first: :mod:`regret` (is a fresh version worth it?) and :mod:`challenge` (champion against
challenger in traffic). :mod:`assemble` chooses the rows, as they were known at the time;
:mod:`triggers` says what asks for a new version; :mod:`replay` and :mod:`ageing` put the same
questions to history.
"""
