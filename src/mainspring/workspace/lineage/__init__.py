"""Where a thing came from and what came of it, from a file down to one prediction.

Read first: :mod:`asking` (the question and its answer), :mod:`edges` (who leads to whom, a few
queries a level), :mod:`shapes` (what an answer holds).
"""
