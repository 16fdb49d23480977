"""Capture: what a run was made of, taken down at its start so that it can be made again.

Read first: :mod:`facts` (all of it, and what could not be had), :mod:`git` (the commit and
what differs from it, as one patch), :mod:`source` (command, seed, environment),
:mod:`packages`, :mod:`machine`, and :mod:`watching` (the thread beside a run).
"""
