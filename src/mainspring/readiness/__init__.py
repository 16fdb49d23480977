"""Readiness: may this version serve? The registry, the gate, and the written decisions.

Read first: :mod:`registry` (versions and aliases), :mod:`gate` and :mod:`checks` (what a candidate
must pass), :mod:`evidence` (what was tried and measured, and when), :mod:`walls` (the triggers by
which the database itself keeps the champion's promise).
"""
