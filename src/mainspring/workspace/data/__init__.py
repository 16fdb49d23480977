"""Data versions of a workspace: add what lies in a folder, bring it back, send it elsewhere.

Read first: :mod:`adding`, then :mod:`getting`.
"""
