"""Runs with numbered children: repeats and tunings, carried out by lanes of the engine.

Read first: :mod:`mainspring.experiments.families` (what is kept), :mod:`turns` (which child is
next), :mod:`child` (what runs in a process of its own), :mod:`study` (what optuna is asked).
"""
