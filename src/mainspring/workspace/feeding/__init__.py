"""Watch models that answer elsewhere: take in their predictions, or judge any two tables.

Rows of a server elsewhere land in the same folders and in the same form as those of our own
endpoints, so that windows, labels, alarms, regret and retraining need not know the difference.

Read first: :mod:`taking` (how rows come in, once and whole), :mod:`declared` (what is watched
and against what), :mod:`comparing` (two tables, one verdict).
"""
