"""The MLflow REST wire on the main port, so that MLflow's own client can talk to us.

MLflow's words live in this package alone; the rooms below know nothing of them.
Read first: :mod:`routes` (what is behind which path), :mod:`messages` (how requests are read
and values written), :mod:`errors` (how refusals are worded), then one file a subject:
:mod:`experiments`, :mod:`runs` with :mod:`filters`, :mod:`logged`, :mod:`artifacts`,
:mod:`models`.
"""
