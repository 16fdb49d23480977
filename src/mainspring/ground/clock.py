"""Tell the time, and let a test turn it."""

from __future__ import annotations

import time as _time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where wall time comes from. Lease time never does: see ``engine/tasks.py``."""

    def now(self) -> float:
        """Return the time in UTC seconds since 1970."""
        ...


class SystemClock:
    """The machine's own wall clock."""

    def now(self) -> float:
        """Return the time in UTC seconds since 1970."""
        return _time.time()  # noqa: TID251  the one place that may ask


class TurnedClock:
    """A clock that stands still until it is turned.

    >>> clock = TurnedClock(100.0)
    >>> clock.turn(5)
    105.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the time in UTC seconds since 1970."""
        return self._now

    def turn(self, seconds: float) -> float:
        """Move the clock by ``seconds`` and return the new time."""
        self._now += seconds
        return self._now


def iso(seconds: float) -> str:
    """Return a UTC time as people and JSON read it.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
