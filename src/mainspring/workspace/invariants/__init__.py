"""The promises of the store as questions it can be asked: each answer names what broke them.

Read :mod:`asking` first: the list of promises, and how they are asked in one transaction.
:mod:`versions` holds those of the registry, :mod:`loops` those of loops, rollouts and alarms,
:mod:`work` those of tasks, events and runs, :mod:`bytes_` those of objects and captures.
"""
