"""Which of several workers of one step this process is."""

from __future__ import annotations

import os


def rank() -> int:
    """Return which worker of the step this process is, from 0; 0 where there is one alone.

    >>> rank(), world_size()
    (0, 1)
    """
    return _number("RANK", 0)


def world_size() -> int:
    """Return how many workers the step has; 1 where there is one alone."""
    return _number("WORLD_SIZE", 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
