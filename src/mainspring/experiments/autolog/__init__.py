"""Autolog: note what a fit was told and what came of it, without a line in the user's code.

Read first: :mod:`sessions` (what is kept of one fit, and where), :mod:`patching` (how libraries
are wrapped and unwrapped, and why a fit never breaks), then one file a library.
"""
