"""Bring data that DVC keeps into versions of ours; DVC itself is not needed.

Read first: :mod:`pointers` (what a repository says), :mod:`places` (where the bytes are), then
:mod:`bringing`.
"""
