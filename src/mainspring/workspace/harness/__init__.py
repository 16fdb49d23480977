"""What ``mainspring.testing`` gives users: rows to test with, steps and pipelines tried, promises.

Read first: :mod:`drawing` (rows of a contract or a profile), :mod:`trying` (a step or pipeline is
run as the engine would), :mod:`promising` (it learns, it can be repeated, it can be restored).
"""
