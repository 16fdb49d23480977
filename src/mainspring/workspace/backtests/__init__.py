"""Ask history: how a rule or a changed policy would have done on the windows that are kept.

Read first: :mod:`judging_again`; :mod:`asking` holds the verbs of Python.
"""
