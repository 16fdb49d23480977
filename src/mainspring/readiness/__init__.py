"""Readiness: may this version serve? The registry, the gate, and the written decisions.

Read first: :mod:`registry` (versions and aliases), :mod:`gate` (the checks a candidate must
pass), :mod:`tables` (the triggers by which the database itself keeps the champion's promise).
"""
