"""A declared season: phases are compared with themselves, and a whole season with training."""

import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
from mainspring.monitoring.judge import judge_inputs
from mainspring.monitoring.seasons import phase_of
from mainspring.numerics.profiles import profile_columns

DAY = 86_400.0
SIX_HOURS = MonitorPolicy(window_s=DAY / 4, season_s=DAY)
SIGNATURE = Signature(
    columns=[
        Column(name="warm", type="float"),
        Column(name="busy", type="float"),
        Column(name="kind", type="str"),
    ],
    kind="binary",
    target="y",
)


def rows(start: float, length: float, count: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Return rows with a daily season in all columns; by night half of ``busy`` is missing."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(start, start + length, count))
    part = np.floor(times % DAY / (DAY / 4))
    level = np.array([-1.5, 0.5, 1.5, -0.5])[part.astype(int)]
    busy = rng.normal(size=count) + level
    busy[(part == 0) & (rng.random(count) < 0.5)] = np.nan
    return pl.DataFrame(
        {
            "_time": times,
            "_version": np.ones(count, dtype=np.int64),
            "warm": rng.normal(size=count) + level + shift,
            "busy": busy,
            "kind": np.where(rng.random(count) < 0.5 + level / 5, "a", "b"),
        }
    )


def profile() -> tuple[Profile, pl.DataFrame]:
    train = rows(0.0, 20 * DAY, 20_000, 1)
    names = [column.name for column in SIGNATURE.columns]
    columns = profile_columns({name: train[name] for name in names}, dict.fromkeys(names, 0.3))
    return Profile(rows=20_000, columns=columns), train.with_columns(_score=pl.lit(0.5))


BASELINE, REFERENCE = profile()


def watched(count: int, policy: MonitorPolicy = SIX_HOURS, shift_from: int = 10_000, size=2_000):
    """Return windows, one after the other, newest last, and the alarms of each."""
    found = []
    for number in range(count):
        start = 100 * DAY + number * policy.window_s
        shift = 1.0 if number >= shift_from else 0.0
        found.append(
            judge_inputs(
                rows(start, policy.window_s, size, 50 + number, shift),
                BASELINE,
                SIGNATURE,
                policy,
                (start, start + policy.window_s),
                "e",
                1,
                earlier=[window for window, _ in reversed(found)][:60],
                reference=REFERENCE,
            )
        )
    return found


def drift_of(window, column):
    return next(row for row in window.drift if row["column"] == column)


def test_phases_are_counted_from_the_start_of_the_season():
    starts = [0.0, DAY / 4, DAY / 2, DAY * 3 / 4, DAY, 3.25 * DAY]
    assert [phase_of(SIX_HOURS, start).number for start in starts] == [0, 1, 2, 3, 0, 1]
    week = MonitorPolicy(window_s=7 * DAY, season_s=DAY)
    assert phase_of(week, 0.0) is None
    halves = msgspec.structs.replace(SIX_HOURS, season_phases=2)
    assert [phase_of(halves, start).number for start in starts[:4]] == [0, 0, 1, 1]


def test_without_a_declared_season_every_phase_is_an_alarm():
    plain = msgspec.structs.replace(SIX_HOURS, season_s=None)
    assert all(alarms for _, alarms in watched(4, plain))


def test_a_season_that_only_comes_again_is_quiet():
    found = watched(16)
    assert [alarm.reason for _, alarms in found for alarm in alarms] == []
    first, later = drift_of(found[0][0], "warm"), drift_of(found[-1][0], "warm")
    assert (first["verdict"], first["distance"]) == ("not judged", None)
    assert "not seen before" in first["why"]
    assert (later["verdict"], later["seen"], later["phases"]) == ("quiet", 3, 4)
    assert "3 quiet windows of the same phase (6,000 rows)" in later["why"]
    assert later["whole"]["distance"] < later["whole"]["radius"]


def test_a_shift_is_found_in_the_first_window_of_a_phase_that_is_known():
    found = watched(9, shift_from=8)
    assert all(not alarms for _, alarms in found[:8])
    assert ("drift", "warm") in {(a.kind, a.subject) for a in found[8][1]}
    assert "of the same phase" in drift_of(found[8][0], "warm")["why"]


def test_a_first_season_unlike_training_is_found_at_its_end():
    found = watched(4, shift_from=0)
    assert [bool(alarms) for _, alarms in found] == [False, False, False, True]
    why = drift_of(found[-1][0], "warm")["why"]
    assert why.startswith("The whole season until now is 0.")


def test_windows_that_were_alarming_do_not_become_usual():
    found = watched(16, shift_from=8)
    assert drift_of(found[-1][0], "warm")["seen"] == 2
    assert drift_of(found[-1][0], "warm")["verdict"] == "alarm"


def test_values_that_are_always_missing_in_a_phase_are_a_notice():
    found = watched(5)
    night = found[0][0], found[4][0]
    rows_ = [next(r for r in w.quality if (r["column"], r["check"]) == ("busy", "missing"))
             for w in night]  # fmt: skip
    assert [row["verdict"] for row in rows_] == ["notice", "notice"]
    assert "this phase was not seen before" in rows_[0]["why"]
    assert "as usual in this phase" in rows_[1]["why"]


def test_windows_of_whole_seasons_are_compared_with_training():
    whole = MonitorPolicy(window_s=DAY, season_s=DAY)
    window, alarms = watched(1, whole)[0]
    assert alarms == []
    assert {row["verdict"] for row in window.drift} == {"quiet"}
    assert "phase" not in window.drift[0]


@pytest.mark.parametrize("size", [0, 1, 250])
def test_odd_windows_are_stated(size):
    for window, alarms in watched(5, size=size):
        assert alarms == []
        assert all(row["why"] for row in window.drift)
        text = msgspec.json.encode(window)
        assert msgspec.json.decode(text, type=type(window)) == window
