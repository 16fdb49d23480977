"""Counts of requests by the minute: readable by others, added up, never in the way."""

from __future__ import annotations

import threading

import pytest
from tests.scaling.conftest import ROW

from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Strategy, Tally
from mainspring.scaling.serving.pairing import PairCounts
from mainspring.scaling.serving.tallies import FOLDER, KEPT_DAYS, Follower, Tallies, prune, read

DAY = 86_400.0


@pytest.fixture
def clock():
    class Turned:
        now = 1_000_000.0

    return Turned()


@pytest.fixture
def tallies(tmp_path, clock):
    made = Tallies(tmp_path, "boot", lambda: clock.now)
    yield made
    made.close()


def test_requests_of_a_minute_are_added_up_by_version(tallies, tmp_path):
    for _ in range(3):
        tallies.add(1, 0.004, "answered")
    tallies.add(1, 0.1, "failed")
    tallies.flush()
    tallies.add(1, 0.1, "refused")
    tallies.add(2, 0.5, "answered")
    tallies.flush()
    one, two = read(tmp_path, 999_960.0, 1_000_080.0)
    assert (one.version, one.requests, one.errors, one.refused) == (1, 5, 1, 1)
    assert sum(one.latencies.values()) == 3
    assert (two.version, two.requests) == (2, 1)


def test_minutes_outside_of_the_span_are_left_out(tallies, tmp_path, clock):
    for minute in range(5):
        clock.now = 1_000_000.0 + 60 * minute
        tallies.add(1, 0.1, "answered")
    tallies.flush()
    assert read(tmp_path, 1_000_080.0, 1_000_200.0)[0].requests == 2
    assert read(tmp_path, 0.0, 10.0) == []


def test_event_time_goes_before_the_clock(tallies, tmp_path):
    tallies.seen(10 * DAY + 30)
    tallies.add(1, 0.1, "answered")
    tallies.seen(None)
    tallies.add(1, 0.1, "answered")
    tallies.flush()
    assert read(tmp_path, 10 * DAY, 10 * DAY + 60)[0].requests == 1
    assert read(tmp_path, 999_960.0, 1_000_020.0)[0].requests == 1


def test_processes_add_up_and_half_a_line_is_left_out(tallies, tmp_path):
    other = Tallies(tmp_path, "other", lambda: 1_000_000.0)
    for each in (tallies, other):
        each.add(None, 0.1, "failed")
    other.close()
    tallies.flush()
    with next((tmp_path / FOLDER).glob("*-other.jsonl")).open("ab") as file:
        file.write(b'{"minute": 1000000.0, "vers')
    found = read(tmp_path, 999_960.0, 1_000_020.0)
    assert [(one.version, one.requests) for one in found] == [(None, 2)]


def test_threads_lose_no_count(tallies, tmp_path):
    def ask():
        for _ in range(500):
            tallies.add(1, 0.001, "answered")
            if _ % 100 == 0:
                tallies.flush()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tallies.flush()
    assert read(tmp_path, 999_960.0, 1_000_020.0)[0].requests == 2000


def test_a_folder_that_cannot_be_written_is_trouble_and_no_error(tmp_path, clock):
    (tmp_path / FOLDER).write_text("in the way")
    made = Tallies(tmp_path, "boot", lambda: clock.now)
    made.add(1, 0.1, "answered")
    made.flush()
    assert made.trouble
    made.close()
    assert read(tmp_path, 0.0, 2e6) == []


def test_days_long_past_are_removed(tmp_path):
    for day in (1, 100, KEPT_DAYS + 50):
        made = Tallies(tmp_path, "boot", lambda day=day: day * DAY)
        made.add(1, 0.1, "answered")
        made.close()
    assert prune(tmp_path) == 1
    assert prune(tmp_path) == 0
    assert read(tmp_path, 0.0, 2 * DAY) == []


def test_no_tally_without_a_request(tallies, tmp_path):
    tallies.flush()
    assert not (tmp_path / FOLDER).exists()
    assert prune(tmp_path) == 0
    assert Tally(minute=0.0, version=None).requests == 0


def test_an_endpoint_counts_what_it_answers_refuses_and_what_its_challenger_did(stage, second):
    here = stage(clock=TurnedClock(2e9))
    for _ in range(3):
        here.predict([ROW])
    assert here.client.post("/invocations", json={"dataframe_records": [{"x": 1}]}).is_error
    assert here.client.get("/status").status_code == 200
    here.route(
        challenger=2, challenger_package=second, strategy=Strategy.SHADOW, share=0.5, rollout="r"
    )
    here.predict([ROW])
    here.predict([{**ROW, "at": 1.4e9 + 30}])
    here.app.close()
    now = {one.version: one for one in read(here.folder, 2e9 - 60, 2e9 + 60)}
    assert (now[1].requests, now[1].refused, now[1].errors) == (5, 1, 0)
    assert sum(now[1].latencies.values()) == 4
    assert now[2].requests == 1
    then = read(here.folder, 1.4e9 - 60, 1.4e9 + 60)
    assert [(one.version, one.requests) for one in then] == [(1, 1), (2, 1)]


def failing() -> PairCounts:
    return PairCounts(tried=2, failed=1, mine={3: 1}, shifts={0: 4})


def test_a_follower_adds_up_one_rollout_and_reads_nothing_twice(tallies, tmp_path, clock):
    follower = Follower(tmp_path, "r", clock.now)
    assert follower.total() == {}
    for _ in range(3):
        tallies.pair(2, failing(), "r")
        tallies.pair(3, failing(), "r")
        tallies.pair(2, failing(), "another")
        tallies.add(2, 0.1, "failed")
        tallies.flush()
        follower.total()
    found = follower.total()
    assert (found[2].tried, found[2].failed, found[2].mine, found[2].shifts) == (
        *(6, 3),
        *({3: 3}, {0: 12}),
    )
    assert found == Follower(tmp_path, "r", clock.now).total()
    [one] = read(tmp_path, clock.now - 60, clock.now + 60)
    assert (one.version, one.requests) == (2, 3)


def test_a_follower_waits_for_the_end_of_a_line(tallies, tmp_path, clock):
    follower = Follower(tmp_path, "r", clock.now)
    tallies.pair(2, failing(), "r")
    tallies.flush()
    [path] = (tmp_path / FOLDER).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert follower.total() == {}
    path.write_bytes(whole)
    assert follower.total()[2].failed == 1
    path.write_bytes(whole + b"torn {\n")
    assert follower.total()[2].failed == 1
