"""Each fire time fires once: after downtime, across daylight saving, under two engines."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mainspring.engine import firing, reactor, schedules
from mainspring.engine.schedules import Schedule
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import LoopSpec

Home = Any
BERLIN = ZoneInfo("Europe/Berlin")
SPEC = LoopSpec(name="l", model="model", pipeline="p:f", endpoint="e", target="y", kind="binary")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def nightly(**more: Any) -> Schedule:
    given = {"name": "n", "cron": "30 2 * * *", "tz": "Europe/Berlin", "kind": "k"}
    return Schedule(**{**given, **more})


def put(home: Home, schedule: Schedule, now: float) -> None:
    home.write(lambda tx: schedules.put(tx, schedule, now))


def fire(home: Home, now: float) -> int:
    return home.write(lambda tx: firing.fire(tx, now))


def test_nothing_fires_before_its_time_or_twice(home: Home) -> None:
    put(home, nightly(), at("2024-05-01T12:00"))
    assert fire(home, at("2024-05-02T02:29:59")) == 0
    assert fire(home, at("2024-05-02T02:30")) == 1
    assert fire(home, at("2024-05-02T02:30")) == 0
    assert fire(home, at("2024-05-02T18:00")) == 0
    assert fire(home, at("2024-05-03T02:31")) == 1


def test_after_downtime_the_latest_missed_time_fires_once_and_counts_the_others(
    home: Home,
) -> None:
    put(home, nightly(), at("2024-05-01T12:00"))
    now = at("2024-05-05T09:00")
    (due,) = home.read(lambda tx: firing.due(tx, now))
    assert (due.fire_at, due.missed) == (at("2024-05-05T02:30"), 3)
    assert fire(home, now) == 1
    task = home.get(f"schedule:n:{at('2024-05-05T02:30'):.0f}")
    assert task.payload == {"schedule": "n", "fire_at": at("2024-05-05T02:30")}
    assert fire(home, now) == 0


def test_a_time_that_the_clocks_skip_fires_once_right_after(home: Home) -> None:
    put(home, nightly(), at("2024-03-30T12:00"))
    assert fire(home, at("2024-03-31T01:59:59")) == 0
    assert fire(home, at("2024-03-31T03:00")) == 1
    assert fire(home, at("2024-03-31T23:00")) == 0
    assert fire(home, at("2024-04-01T02:30")) == 1


def test_a_time_that_the_clocks_show_twice_fires_once(home: Home) -> None:
    put(home, nightly(), at("2024-10-26T12:00"))
    fired = 0
    for minute in range(0, 6 * 60, 5):
        fired += fire(home, at("2024-10-27T00:00") + minute * 60)
    assert fired == 1
    assert fire(home, at("2024-10-28T02:30")) == 1


def test_a_firing_missed_in_the_doubled_hour_is_found_within_it(home: Home) -> None:
    put(home, nightly(), at("2024-10-26T12:00"))
    assert fire(home, at("2024-10-27T02:10", fold=1)) == 1


def test_two_engines_that_look_at_once_fire_once(home: Home) -> None:
    put(home, nightly(), at("2024-05-01T12:00"))
    now = at("2024-05-02T03:00")
    fired: list[int] = []
    together = threading.Barrier(4)

    def look() -> None:
        together.wait()
        fired.append(fire(home, now))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fired) == [0, 0, 0, 1]


def test_a_schedule_may_ask_a_loop_for_a_retraining_in_the_loops_own_time(home: Home) -> None:
    home.write(lambda tx: reactor.declare(tx, SPEC, 500.0, champion=1))
    home.write(lambda tx: home.reactor.react_once(tx, 0.0))
    put(home, nightly(kind="retrain", payload={"loop": "l"}), at("2024-05-01T12:00"))
    assert fire(home, at("2024-05-04T03:00")) == 1
    _, event = home.read(lambda tx: reactor.history(tx, "l"))[-1]
    assert isinstance(event, m.RetrainRequested)
    assert event.at == 500.0
    assert event.by == "schedule n"
    assert "standing for 2 missed" in event.reason


def test_an_edited_schedule_does_not_fire_for_the_past(home: Home) -> None:
    put(home, nightly(), at("2024-05-01T12:00"))
    put(home, nightly(cron="0 1 * * *"), at("2024-05-02T12:00"))
    assert fire(home, at("2024-05-02T13:00")) == 0
    assert [s.cron for s in home.read(schedules.list_schedules)] == ["0 1 * * *"]
    assert home.write(lambda tx: schedules.remove(tx, "n"))
    assert not home.write(lambda tx: schedules.remove(tx, "n"))
    assert fire(home, at("2024-05-09T13:00")) == 0


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": "../etc/passwd"}, "tz"),
        ({"name": "a/b"}, "schedule"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused_by_name(
    home: Home, wrong: dict[str, str], field: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        put(home, nightly(**wrong), 0.0)
    assert caught.value.field == field


def test_upcoming_times_follow_the_wall_clock_across_the_change() -> None:
    times = schedules.upcoming(nightly(), at("2024-03-30T12:00"), 3)
    assert times == [at("2024-03-31T03:00"), at("2024-04-01T02:30"), at("2024-04-02T02:30")]
