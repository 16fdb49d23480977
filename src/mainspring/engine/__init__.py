"""The durable runner: it joins the seven rooms to the loop and forgets nothing.

One event in, its commands out, in one transaction. Every piece of work is a task with a
lease; whoever dies holding one is replaced within that lease, and a result that comes too
late is refused.

Read first: :mod:`tasks` (leases, fencing, dependencies), :mod:`reactor` (events to commands),
:mod:`worker` (the Engine that runs handlers). :mod:`schedules` fires what a clock asks for.
"""
