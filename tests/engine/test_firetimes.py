"""Fire times follow the clocks of their zone: by tables made by hand, and minute by minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.engine.firetimes import Schedule, check, last_before, newest, times, upcoming
from mainspring.ground.errors import BadInputError


def between(schedule: Schedule, begin: float, end: float) -> list[float]:
    found = []
    for at in times(schedule, begin):
        if at > end:
            break
        found.append(at)
    return found


#: zone, cron, the local day of the change, and the UTC times at which it fires on that day.
CHANGES = [
    ("Europe/Berlin", "30 2 * * *", "2026-03-29", ["03-29T01:00"]),
    ("Europe/Berlin", "15,45 2 * * *", "2026-03-29", ["03-29T01:00"]),
    ("Europe/Berlin", "*/30 2 * * *", "2026-03-29", []),
    ("Europe/Berlin", "30 2 * * *", "2026-10-25", ["10-25T00:30"]),
    (
        "Europe/Berlin",
        "*/30 2 * * *",
        "2026-10-25",
        ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30"],
    ),
    ("America/New_York", "5 2 * * *", "2026-03-08", ["03-08T07:00"]),
    ("America/New_York", "30 1 * * *", "2026-11-01", ["11-01T05:30"]),
    ("America/New_York", "*/45 1 * * *", "2026-11-01", ["T05:00", "T05:45", "T06:00", "T06:45"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04", ["10-03T15:30"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05", ["04-04T14:45"]),
    ("Australia/Lord_Howe", "*/15 2 * * *", "2026-10-04", ["10-03T15:30", "10-03T15:45"]),
    (
        "Australia/Lord_Howe",
        "*/15 1 * * *",
        "2026-04-05",
        ["T14:00", "T14:15", "T14:30", "T14:45", "T15:00", "T15:15"],
    ),
]


@pytest.mark.parametrize(("tz", "cron", "day", "wanted"), CHANGES)
def test_a_change_of_clocks_is_as_the_table_made_by_hand_says(
    tz: str, cron: str, day: str, wanted: list[str]
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(tz))
    begin, end = midnight.timestamp() - 1, (midnight + timedelta(days=1)).timestamp() - 1
    found = between(Schedule(name="n", cron=cron, tz=tz), begin, end)
    told = [datetime.fromtimestamp(at, ZoneInfo("UTC")).strftime("%m-%dT%H:%M") for at in found]
    assert len(told) == len(wanted)
    assert all(one.endswith(end_) for one, end_ in zip(told, wanted, strict=True))


def minute_by_minute(cron: str, tz: str, begin: float, end: float) -> list[float]:
    """Say when a line fires by looking at a clock each minute, as the rule of the docs says."""
    minutes, hours = (field_of(text, most) for text, most in zip(cron.split(), (59, 23)))  # noqa: B905
    real = any(text.startswith("*") for text in cron.split()[:2])
    zone, found, before = ZoneInfo(tz), set(), None
    for at in range(int(begin) // 60 * 60 - 7200, int(end) + 60, 60):
        shown = datetime.fromtimestamp(at, zone)
        wall = shown.replace(tzinfo=None, fold=0)
        if wall.minute in minutes and wall.hour in hours and (real or shown.fold == 0):
            found.add(at)
        while before is not None and not real and (before := before + timedelta(minutes=1)) < wall:
            if before.minute in minutes and before.hour in hours:
                found.add(at)  # the clock skipped it
        before = wall
    return [float(at) for at in sorted(found) if begin < at <= end]


def field_of(text: str, most: int) -> set[int]:
    span, _, step = text.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        return set(range(0, most + 1, int(step or 1)))
    return set(range(int(first), int(last or first) + 1, int(step or 1)))


DAYS = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("America/Havana", "2026-11-01"),
    ("Asia/Kolkata", "2026-05-05"),
]
FIELD = {
    most: st.one_of(
        st.just("*"),
        st.sampled_from([2, 7, 15, 20]).map(lambda step: f"*/{step}"),
        st.integers(0, most).map(str),
        st.tuples(st.integers(0, most // 2), st.integers(most // 2, most)).map(
            lambda span: f"{span[0]}-{span[1]}"
        ),
    )
    for most in (59, 5)
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DAYS), FIELD[59], FIELD[5], st.integers(-7200, 8 * 3600))
def test_fire_times_are_those_that_a_look_at_the_clock_each_minute_finds(
    day: tuple[str, str], minute: str, hour: str, offset: int
) -> None:
    tz, date = day
    midnight = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(tz)).timestamp()
    begin, end = midnight + offset, midnight + offset + 12 * 3600
    cron = f"{minute} {hour} * * *"
    wanted = minute_by_minute(cron, tz, begin, end)
    schedule = Schedule(name="n", cron=cron, tz=tz)
    assert between(schedule, begin, end) == wanted
    assert newest(schedule, begin, end, 5) == wanted[-5:]
    if wanted:
        assert last_before(schedule, end) == wanted[-1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**6), st.floats(-1e6, 1e6), st.floats(0, 2e9), st.integers(1, 5))
def test_distances_count_from_the_anchor_and_never_drift(
    every: int, anchor: float, after: float, count: int
) -> None:
    schedule = Schedule(name="n", every_s=float(every), anchor=float(int(anchor)))
    found = upcoming(schedule, after, count)
    assert all((at - schedule.anchor) % every == 0 for at in found)
    assert after < found[0] <= after + every
    assert found == [found[0] + number * every for number in range(count)]
    assert newest(schedule, after, found[-1], count) == found


def test_nothing_fires_outside_of_its_span() -> None:
    schedule = Schedule(name="n", every_s=10.0, start=30.0, end=50.0)
    assert upcoming(schedule, 0.0, 9) == [30.0, 40.0, 50.0]
    assert upcoming(schedule, 35.0, 9) == [40.0, 50.0]
    assert upcoming(schedule, 50.0) == []
    assert newest(schedule, 0.0, 1000.0, 2) == [40.0, 50.0]


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"cron": "0 0 2 * * *"}, "cron", "6 fields"),
        ({"cron": "0 0 31 2 *"}, "cron", "Bad day"),
        ({"cron": "9" * 5000 + " 0 1 1 *"}, "cron", "no cron expression"),
        ({"tz": "Mars/Olympus", "cron": "0 0 * * *"}, "tz", "no time zone"),
        ({"cron": "0 0 * * *", "every_s": 60.0}, "cron", "one of the two"),
        ({}, "cron", "one of the two"),
        ({"every_s": 0.5}, "every", "found 0.5 s"),
        ({"every_s": float("nan")}, "every", "found nan s"),
        ({"every_s": 60.0, "start": 9.0, "end": 3.0}, "end", "before it begins"),
        ({"cron": "0 0 1 1 *", "end": 86_400.0}, "end", "before its end"),
    ],
)
def test_what_cannot_fire_is_refused_by_name(
    wrong: dict[str, object], field: str, told: str
) -> None:
    with pytest.raises(BadInputError, match=told) as caught:
        check(Schedule(name="n", **wrong), 86_500.0)  # type: ignore[arg-type]
    assert caught.value.field == field
