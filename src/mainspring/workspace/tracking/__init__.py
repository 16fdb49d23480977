"""Tracking: runs that a script begins, and how what they log comes into the store.

Read first: :mod:`active` (a run as a script holds it), :mod:`catching_up` (journals are folded
when somebody reads), :mod:`writing` (the journal of this process).
"""
