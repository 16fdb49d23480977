"""Models whose code is not ours: scored by a child process, in its own environment if it asks.

Read first: ``code.py`` (what is kept of such a model, and how it answers), ``environments.py``
(which Python loads it), ``spawned.py`` and ``child.py`` (one child on a socket pair), and
``loaders.py``, which runs inside of it.
"""
