"""Replay history through policies, on a turned clock, and say how fast models age on it.

Read first: :mod:`turning` drives the loop's own reactions over a stream; :mod:`simulating` puts
several policies to one history; :mod:`mainspring.retraining.ageing` trains at one time and scores
at later ones.
"""
