"""Data versions: files and folders kept by content, under a dataset's name and a number.

Read first: :mod:`manifest` (what a version holds), :mod:`versions` (names and numbers),
:mod:`cuts` (how a large file is cut so that a small change costs little).
"""
