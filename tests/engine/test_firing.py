"""What becomes of a fire time: it fires, waits, is skipped or made up for, each once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mainspring.engine import firing, schedules
from mainspring.engine.firetimes import Schedule
from mainspring.engine.tasks import NewTask
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError

Home = Any
HOUR = 3600.0
DAY = 86_400.0
BEGIN = 20_000 * DAY


def put(home: Home, **rules: Any) -> None:
    given = {"name": "n", "every_s": HOUR, "kind": "start_run", **rules}
    home.write(lambda tx: schedules.put(tx, Schedule(**given), BEGIN))


def fire(home: Home, now: float) -> int:
    return home.write(lambda tx: firing.fire(tx, now))


def told(home: Home) -> list[tuple[float, str]]:
    """Return the fire times that were dealt with, in hours, oldest first."""
    past = home.read(lambda tx: firing.past(tx, "n", 100))
    return [((one.fire_at - BEGIN) / HOUR, one.outcome) for one in reversed(past)]


def begin_run(home: Home, run: str) -> None:
    """Do the one task that a firing made: it starts a run of one step."""
    lease = home.claim(kinds=["start_run"])
    assert lease is not None
    from mainspring.engine import leases

    home.write(lambda tx: leases.finish(tx, lease, {"run": run}, 0.0))
    home.submit(NewTask(id=f"{run}:step", kind="step", group=run))


def end_run(home: Home) -> None:
    lease = home.claim(kinds=["step"])
    assert lease is not None
    home.finish(lease)


# ---------------------------------------------------------------- catching up


@pytest.mark.parametrize(
    ("rules", "late", "wanted"),
    [
        ({"catch_up": "latest"}, 0.5, [(5.0, "fired")]),
        ({"catch_up": "skip"}, 0.5, [(5.0, "skipped")]),
        ({"catch_up": "skip"}, 0.01, [(5.0, "fired")]),
        ({"catch_up": "all"}, 0.5, [(float(n), "fired") for n in range(1, 6)]),
        ({"catch_up": "all", "most": 2}, 0.5, [(4.0, "fired"), (5.0, "fired")]),
    ],
)
def test_after_downtime_the_policy_says_which_times_still_fire(
    home: Home, rules: dict[str, Any], late: float, wanted: list[tuple[float, str]]
) -> None:
    put(home, **rules)
    now = BEGIN + (5 + late) * HOUR
    assert fire(home, now) == sum(outcome == "fired" for _, outcome in wanted)
    assert told(home) == wanted
    assert fire(home, now) == 0
    oldest = home.read(lambda tx: firing.past(tx, "n", 100))[-1]
    assert oldest.missed == 5 - len(wanted)
    if oldest.outcome == "skipped":
        assert "1800 s late" in oldest.why


def test_a_clock_that_goes_back_fires_nothing_twice_and_one_from_afar_silences_nothing(
    home: Home,
) -> None:
    put(home)
    assert fire(home, BEGIN + 3 * HOUR) == 1
    assert fire(home, BEGIN + 2 * HOUR) == 0
    assert fire(home, BEGIN + 3.5 * HOUR) == 0
    assert fire(home, BEGIN + 4 * HOUR) == 1
    far = BEGIN + 5000 * DAY
    assert fire(home, far) == 1
    assert fire(home, BEGIN + 4.5 * HOUR) == 0
    assert fire(home, BEGIN + 5 * HOUR) == 1
    assert fire(home, BEGIN + 5 * HOUR) == 0


# ---------------------------------------------------------------- one after the other


def test_a_fire_time_is_skipped_while_the_run_before_goes_on_and_says_so(home: Home) -> None:
    put(home, overlap="skip")
    assert fire(home, BEGIN + HOUR) == 1
    assert fire(home, BEGIN + 2 * HOUR) == 0
    assert "has not begun its run" in home.read(lambda tx: firing.past(tx, "n"))[0].why
    begin_run(home, "run_a")
    assert fire(home, BEGIN + 3 * HOUR) == 0
    assert "run run_a of" in home.read(lambda tx: firing.past(tx, "n"))[0].why
    end_run(home)
    assert fire(home, BEGIN + 4 * HOUR) == 1
    assert [outcome for _, outcome in told(home)] == ["fired", "skipped", "skipped", "fired"]
    assert home.read(lambda tx: firing.past(tx, "n", 100))[-1].run == "run_a"


def test_fire_times_wait_in_a_queue_and_leave_it_in_their_order(home: Home) -> None:
    put(home, overlap="queue")
    for hour in (1, 2, 3):
        fire(home, BEGIN + hour * HOUR)
    assert [outcome for _, outcome in told(home)] == ["fired", "queued", "queued"]
    assert home.read(lambda tx: firing.due(tx, BEGIN + 3 * HOUR)) == []
    begin_run(home, "run_a")
    assert fire(home, BEGIN + 3.1 * HOUR) == 0
    end_run(home)
    assert fire(home, BEGIN + 3.2 * HOUR) == 1
    assert told(home)[1:] == [(2.0, "fired"), (3.0, "queued")]
    begin_run(home, "run_b")
    end_run(home)
    home.write(lambda tx: schedules.remove(tx, "n"))
    assert fire(home, BEGIN + 3.3 * HOUR) == 0
    assert told(home)[2] == (3.0, "skipped")


def test_several_runs_at_once_where_that_is_allowed(home: Home) -> None:
    put(home, overlap="allow")
    assert [fire(home, BEGIN + hour * HOUR) for hour in (1, 2, 3)] == [1, 1, 1]


def test_of_two_engines_one_takes_what_leaves_the_queue(home: Home) -> None:
    put(home, overlap="queue", catch_up="all")
    together, fired = threading.Barrier(4), []

    def look() -> None:
        together.wait()
        fired.append(fire(home, BEGIN + 3.5 * HOUR))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fired) == [0, 0, 0, 1]
    assert told(home) == [(1.0, "fired"), (2.0, "queued"), (3.0, "queued")]


def test_work_begins_a_little_later_but_always_by_the_same_little(home: Home) -> None:
    put(home, jitter_s=600.0)
    fire(home, BEGIN + HOUR)
    task = home.get(firing.key_of("n", BEGIN + HOUR))
    late = task.due - (BEGIN + HOUR)
    assert 0 <= late < 600
    same = firing.jitter(Schedule(name="n", every_s=1.0, jitter_s=600.0), BEGIN + HOUR)
    assert late == pytest.approx(same, abs=1e-3)


# ---------------------------------------------------------------- rest, and by hand


def test_nothing_fires_while_it_rests_and_nothing_is_made_up_for_after(home: Home) -> None:
    put(home)
    home.write(lambda tx: schedules.pause(tx, "n", BEGIN + 0.5 * HOUR))
    assert fire(home, BEGIN + 3 * HOUR) == 0
    home.write(lambda tx: schedules.resume(tx, "n", BEGIN + 3.5 * HOUR))
    assert fire(home, BEGIN + 3.5 * HOUR) == 0
    assert fire(home, BEGIN + 4 * HOUR) == 1
    assert told(home) == [(4.0, "fired")]
    with pytest.raises(NotFoundError):
        home.write(lambda tx: schedules.pause(tx, "none", BEGIN))


def test_firing_by_hand_leaves_the_clock_as_it_is(home: Home) -> None:
    put(home, overlap="skip")
    made = home.write(lambda tx: firing.run_now(tx, "n", "ada", BEGIN + HOUR + 0.7))
    assert (made.outcome, made.fire_at) == ("fired", BEGIN + HOUR)
    with pytest.raises(ConflictError, match="has not begun its run yet"):
        home.write(lambda tx: firing.run_now(tx, "n", "ada", BEGIN + HOUR + 9))
    begin_run(home, "run_a")
    end_run(home)
    home.write(lambda tx: firing.run_now(tx, "n", "ada", BEGIN + HOUR + 9))
    assert [one.by for one in home.read(lambda tx: firing.past(tx, "n"))] == ["ada", "ada"]
    begin_run(home, "run_b")
    end_run(home)
    assert fire(home, BEGIN + 2 * HOUR) == 1


def test_a_span_is_made_up_for_by_hand_and_what_fired_before_stays(home: Home) -> None:
    put(home, overlap="skip", catch_up="skip")
    fire(home, BEGIN + 2 * HOUR)
    begin_run(home, "run_a")
    fire(home, BEGIN + 3 * HOUR)
    end_run(home)
    assert told(home) == [(2.0, "fired"), (3.0, "skipped")]

    def make_up(begin: float, end: float) -> firing.Backfilled:
        return home.write(
            lambda tx: firing.backfill(
                tx, "n", BEGIN + begin * HOUR, BEGIN + end * HOUR, "ada", BEGIN + 4.5 * HOUR
            )
        )

    made = make_up(-1, 3)
    assert (made.asked, made.begun, made.before) == (5, 4, 1)
    wanted = [(-1.0, "fired"), (0.0, "queued"), (1.0, "queued"), (2.0, "fired"), (3.0, "queued")]
    assert told(home) == wanted
    assert make_up(-1, 3).begun == 0
    assert home.get(firing.key_of("n", BEGIN - HOUR)).payload["fire_at"] == BEGIN - HOUR
    with pytest.raises(BadInputError, match="ends in the past"):
        make_up(0, 5)
    with pytest.raises(BadInputError, match="More than 1000"):
        make_up(-2000, 0)
