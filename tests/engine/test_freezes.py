"""Freezes follow the wall clock of people, and what waited for their end is woken once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.engine import freezes, reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Freeze, LoopSpec, RetrainingPolicy

HOUR = 3600.0
FRIDAYS = Freeze(cron="0 18 * * 5", for_s=62 * HOUR)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_a_weekend_is_frozen_from_its_first_second_to_before_its_last() -> None:
    ends = at("2026-11-30T08:00")
    assert freezes.until([FRIDAYS], at("2026-11-27T17:59:59")) is None
    assert freezes.until([FRIDAYS], at("2026-11-27T18:00:00")) == ends
    assert freezes.until([FRIDAYS], at("2026-11-30T07:59:59")) == ends
    assert freezes.until([FRIDAYS], ends) is None


def test_freezes_that_touch_are_one() -> None:
    monday = Freeze(cron="0 7 * * 1", for_s=3 * HOUR)
    assert freezes.until([FRIDAYS, monday], at("2026-11-28T12:00")) == at("2026-11-30T10:00")


def test_the_clock_is_that_of_the_people() -> None:
    berlin = Freeze(cron="0 18 * * *", for_s=HOUR, tz="Europe/Berlin")
    assert freezes.until([berlin], at("2026-07-01T16:30")) == at("2026-07-01T17:00")
    assert freezes.until([berlin], at("2026-12-01T16:30")) is None
    assert freezes.until([berlin], at("2026-12-01T17:30")) == at("2026-12-01T18:00")


def test_a_freeze_that_never_ends_is_followed_for_a_while_only() -> None:
    always = Freeze(cron="0 * * * *", for_s=2 * HOUR)
    now = at("2026-11-28T12:30")
    ends = freezes.until([always], now)
    assert ends is not None
    assert ends - now > 900 * HOUR


@given(
    st.integers(0, 6),
    st.integers(0, 23),
    st.integers(1, 200),
    st.integers(1_600_000_000, 1_800_000_000),
)
def test_at_its_end_a_freeze_is_over_and_until_then_it_is_in_force(day, hour, hours, now) -> None:
    declared = [Freeze(cron=f"0 {hour} * * {day}", for_s=hours * HOUR)]
    ends = freezes.until(declared, float(now))
    if ends is None:
        return
    assert ends > now
    if hours < 168:  # one that is longer than its week follows itself
        assert freezes.until(declared, ends) is None
    assert freezes.until(declared, (now + ends) / 2) == ends or hours >= 168


def test_no_freeze_is_none() -> None:
    assert freezes.until([], datetime.now(UTC).timestamp()) is None


def test_what_was_asked_in_a_freeze_waits_for_its_end_and_is_woken_once(home: Any) -> None:
    hour = home.clock.now() // HOUR * HOUR
    when = datetime.fromtimestamp(hour, UTC)
    closed = Freeze(cron=f"0 {when.hour} * * *", for_s=2 * HOUR)
    spec = LoopSpec(
        name="l",
        model="model",
        pipeline="p:f",
        endpoint="e",
        target="y",
        kind="binary",
        retraining=RetrainingPolicy(freeze=[closed]),
    )
    asked = m.RetrainRequested(loop="l", at=hour, by="ann", reason="so")
    home.write(lambda tx: reactor.declare(tx, spec, hour, champion=4))
    home.write(lambda tx: reactor.emit(tx, asked, "asked"))

    def react() -> list[str]:
        home.decisions.clear()
        while home.write(lambda tx: home.reactor.react_once(tx, home.clock.now())):
            pass
        return [one.kind for one in home.decisions]

    assert react() == ["hold"]
    assert home.read(lambda tx: reactor.view(tx, "l")).frozen_until == hour + 2 * HOUR
    assert not home.write(lambda tx: freezes.thaw(tx, home.clock.now()))
    home.clock.turn(2 * HOUR)
    assert home.write(lambda tx: freezes.thaw(tx, home.clock.now()))
    assert not home.write(lambda tx: freezes.thaw(tx, home.clock.now()))
    assert react() == ["retrain"]
    assert home.read(lambda tx: freezes.over(tx, home.clock.now())) == []


@pytest.mark.parametrize(
    "wrong",
    [
        Freeze(cron="0 18 * *", for_s=HOUR),
        Freeze(cron="0 18 * * 5", for_s=0.0),
        Freeze(cron="0 18 * * 5", for_s=400 * 86_400.0),
        Freeze(cron="0 18 * * 5", for_s=HOUR, tz="Mars/Olympus"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused(wrong: Freeze) -> None:
    with pytest.raises(BadInputError):
        freezes.check([wrong])
