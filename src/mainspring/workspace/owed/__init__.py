"""What is owed: facts gathered for the debt scan, consumers, dependents, deprecations.

Read first: :mod:`gathering` (the facts of a scan), :mod:`scanning` (a scan kept in the ledger).
"""
