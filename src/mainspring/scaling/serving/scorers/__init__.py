"""Score in processes of their own what may hang, crash or eat memory.

An :class:`~.isolated.Isolated` is a scorer like any other; behind it stand one or several child
processes on a socket pair, a deadline for each call, a limit of memory, restarts with backoff and
a breaker. Read first: ``isolated.py``, then ``child.py``, which any Python can run.
"""
