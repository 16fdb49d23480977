"""Say what a change to the code does to a model: ``ci report``.

Read first: ``sides.py`` (the code of a branch, run), ``telling.py`` (versions on the same rows).
"""
