"""A loop around a training script that stays as it is.

The rows that the loop assembled are put where the script reads them, the script runs in a process
of its own, and what it wrote or registered becomes a version of ours. Start with ``declaring``.
"""
