"""The ground floor: the words everything else is made of. Standard library and msgspec only.

Read first: :mod:`objects` (the records, our data dictionary), :mod:`messages` (the events
and commands of the loop), :mod:`ports` (what a backend promises).
"""
