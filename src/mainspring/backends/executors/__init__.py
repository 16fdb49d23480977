"""Executors: where calls run in processes of their own.

Read first: :mod:`local` (our side), then :mod:`forkserver` (the process that forks) and
:mod:`child` (what a forked process does).
"""
