"""The clock tells, and the turned clock stands."""

from __future__ import annotations

import time

from mainspring.ground.clock import SystemClock, TurnedClock, iso


def test_the_system_clock_is_the_machines() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_a_turned_clock_stands_until_it_is_turned() -> None:
    clock = TurnedClock(100.0)
    assert clock.now() == clock.now() == 100.0
    assert clock.turn(2.5) == clock.now() == 102.5


def test_iso_is_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_700_000_000.9) == "2023-11-14T22:13:20Z"
