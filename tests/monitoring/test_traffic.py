"""Volume, errors and latency of windows: against what was declared, and against the past."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.monitoring.sights import people, sight, window

from mainspring.ground.monitors import LATENCY_EDGES_S
from mainspring.ground.objects import MonitorPolicy, Tally
from mainspring.monitoring import volume
from mainspring.monitoring.sight import Beside
from mainspring.monitoring.traffic import (
    expects_traffic,
    judge_volume,
    percentile_ms,
    traffic_on_inputs,
)

HOUR, DAY = 3600.0, 86_400.0
CALM = MonitorPolicy(window_s=HOUR, season_s=HOUR)


def usual(hour: float, weekend: bool) -> float:
    return 300 * (1.2 + math.sin(hour / 24 * 2 * math.pi)) * (0.4 if weekend else 1.0)


def lived(windows: int, length: float = HOUR, seed: int = 0, noise: float = 0.1):
    """Return what was learned of so many windows of working days and weekends, and its alarms."""
    rng = np.random.default_rng(seed)
    state: volume.State = {}
    alarms = []
    for n in range(windows):
        start = n * length
        hour, weekend = start % DAY / HOUR, start // DAY % 7 >= 5
        rows = rng.poisson(usual(hour, weekend) * length / HOUR * math.exp(noise * rng.normal()))
        band = volume.expected(state, start, length, 0.001)
        if band is not None and not band.low <= rows <= band.high:
            alarms.append(n)
        state = volume.learned(state, start, length, int(rows), band)
    return state, alarms


def after(counts, policy=CALM):
    """Return windows, newest first, that had so many rows one after the other."""
    made = []
    for n, rows in enumerate(counts):
        start = n * policy.window_s
        seen = sight(
            people(rows, n),
            policy=policy,
            span=(start, start + policy.window_s),
            earlier=made[:60],
        )
        made.insert(0, window(*seen.span, rows, found=[judge_volume(seen)]))
    return made


def test_working_days_and_weekends_raise_no_alarm():
    _, alarms = lived(24 * 7 * 10)
    assert alarms == []


def test_nothing_is_said_before_a_season_was_seen():
    state, _ = lived(24 * 7 - 1)
    assert volume.expected(state, 7 * DAY - HOUR, HOUR, 0.001) is None
    state, _ = lived(24 * 7)
    assert volume.expected(state, 7 * DAY, HOUR, 0.001) is not None


def test_what_is_usual_depends_on_the_time_of_the_week():
    state, _ = lived(24 * 7 * 5)
    monday = volume.expected(state, 35 * DAY + 6 * HOUR, HOUR, 0.001)
    saturday = volume.expected(state, 40 * DAY + 6 * HOUR, HOUR, 0.001)
    assert monday.expected == pytest.approx(usual(6, weekend=False), rel=0.1)
    assert saturday.expected == pytest.approx(usual(6, weekend=True), rel=0.1)
    assert monday.level == "this time of the season"
    assert monday.low < usual(6, weekend=False) < monday.high


def test_a_lasting_change_is_learned_and_a_quiet_day_is_not():
    state, _ = lived(24 * 7 * 5, length=HOUR)
    before = volume.expected(state, 35 * DAY, HOUR, 0.001)
    state = volume.learned(state, 35 * DAY, HOUR, 0, before)
    once = volume.expected(state, 42 * DAY, HOUR, 0.001)
    assert once.expected > 0.4 * before.expected
    for week in range(6, 20):
        band = volume.expected(state, week * 7 * DAY, HOUR, 0.001)
        state = volume.learned(state, week * 7 * DAY, HOUR, 5000, band)
    assert volume.expected(state, 140 * DAY, HOUR, 0.001).expected > 1.5 * before.expected


def test_steady_traffic_is_quiet_and_a_drop_to_nothing_an_alarm():
    earlier = after([100, 104, 96, 110, 93, 99, 101, 105, 98, 97, 103, 100])
    assert {one.found[0].verdict for one in earlier} <= {"quiet", "not judged"}
    assert earlier[0].found[0].verdict == "quiet"
    gone = sight(people(0, 1), policy=CALM, span=(12 * HOUR, 13 * HOUR), earlier=earlier)
    found = judge_volume(gone)
    assert found.verdict == "alarm"
    assert found.why.startswith("No traffic: 0 rows;")
    assert found.low > 30
    assert expects_traffic(earlier, (12 * HOUR, 13 * HOUR), CALM)


def test_twice_and_half_of_the_usual_are_alarms_if_they_are_outside_of_the_band():
    earlier = after([200, 204, 196, 210, 193, 199, 201, 205, 198, 197, 203, 200])
    for rows, verdict in ((205, "quiet"), (500, "alarm"), (60, "alarm")):
        seen = sight(people(rows, 1), policy=CALM, span=(12 * HOUR, 13 * HOUR), earlier=earlier)
        assert judge_volume(seen).verdict == verdict, rows


def test_where_little_was_asked_silence_is_nothing():
    earlier = after([0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 0, 1])
    assert not expects_traffic(earlier, (12 * HOUR, 13 * HOUR), CALM)
    assert not expects_traffic([], (0.0, HOUR), CALM)


def test_what_is_learned_stays_small():
    state, _ = lived(24 * 7 * 3)
    assert len(state["levels"]) == 24 * 7 + 24 + 1
    five_minutes, _ = lived(2000, length=300.0)
    assert len(five_minutes["levels"]) <= 24 * 7 + 24 + 1


def latencies(fast: int, slow: int, slow_ms: float = 900.0) -> dict[int, int]:
    def bucket(ms: float) -> int:
        return next(n for n, edge in enumerate(LATENCY_EDGES_S) if edge * 1000 >= ms)

    return {bucket(5.0): fast, bucket(slow_ms): slow}


def look(tally: Tally, earlier=(), **policy):
    seen = sight(
        people(50, 1),
        policy=MonitorPolicy(**policy),
        earlier=list(earlier),
        beside=Beside(tallies=[tally]),
    )
    return {one.subject: one for one in traffic_on_inputs(seen)}


def tally(requests=1000, errors=0, fast=None, slow=0) -> Tally:
    fast = requests - errors - slow if fast is None else fast
    return Tally(
        minute=0.0, version=3, requests=requests, errors=errors, latencies=latencies(fast, slow)
    )


def test_latencies_and_errors_are_figures_of_a_version():
    found = look(tally(errors=10, slow=30))
    assert found["error_rate/3"].value == 0.01
    assert found["error_rate/3"].low < 0.01 < found["error_rate/3"].high
    assert 5 <= found["p50_ms/3"].value <= 6.5
    assert 900 <= found["p99_ms/3"].value <= 1170
    assert {one.verdict for one in found.values()} == {"quiet", "not judged"}


def test_more_errors_than_declared_for_certain_are_an_alarm():
    assert look(tally(errors=60), max_error_rate=0.02)["error_rate/3"].verdict == "alarm"
    unsure = look(tally(errors=25), max_error_rate=0.02)["error_rate/3"]
    assert unsure.verdict == "quiet"  # 2.5 % of 1,000 may be chance
    assert look(tally(20, 10), max_error_rate=0.02)["error_rate/3"].verdict == "too few rows"


def test_a_p99_above_what_is_declared_is_an_alarm():
    assert look(tally(slow=60), max_p99_ms=100)["p99_ms/3"].verdict == "alarm"
    assert look(tally(slow=11), max_p99_ms=100)["p99_ms/3"].verdict == "quiet"
    assert look(tally(slow=60), max_p99_ms=2000)["p99_ms/3"].verdict == "quiet"
    assert look(tally(20), max_p99_ms=100)["p99_ms/3"].verdict == "too few rows"


def test_the_past_is_a_line_too():
    past = [
        window(float(n), n + 1.0, found=list(look(tally(errors=2)).values())) for n in range(6)
    ]
    found = look(tally(errors=50, slow=60), past)
    assert found["error_rate/3"].verdict == "alarm"
    assert found["error_rate/3"].baseline == pytest.approx(0.002)
    assert "the past" in found["error_rate/3"].why
    assert found["p99_ms/3"].verdict == "notice"
    assert look(tally(errors=4), past)["error_rate/3"].verdict == "quiet"


def test_percentiles_of_nothing_are_none():
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({10_000: 3}, 0.5) == LATENCY_EDGES_S[-1] * 1000
