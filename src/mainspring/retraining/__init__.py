"""Retraining: which rows to learn from, whether it pays, and whether the new version is better.

Read first: :mod:`regret` (is a fresh version worth it?) and :mod:`challenge` (champion against
challenger in traffic). :mod:`simulate` replays a table through both.
"""
