"""What is measured on a candidate before the gate judges it, in a process of its own.

Read first: :mod:`candidate` (the whole of it in order), then one file a question.
"""
