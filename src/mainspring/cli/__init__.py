"""The command line: one file a room, loaded when its command is called.

Read first: ``start.py`` (the table of commands), ``supervisor.py`` (what ``up`` is),
``remote.py`` (how a command reaches a server, or does without).
"""
