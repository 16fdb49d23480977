"""Rows that depend on each other: they count for fewer, and it is said."""

import numpy as np
import polars as pl
import pytest

from mainspring.monitoring.judge import judge_inputs
from mainspring.monitoring.streaks import event_order, order_among


@pytest.fixture
def judge(world):
    def judged(frame, **given):
        return judge_inputs(
            frame, world.usual, world.signature, world.policy, world.span, "delays", 3, **given
        )

    return judged


def in_runs(frame: pl.DataFrame, length: int) -> pl.DataFrame:
    """Return every row as often as a run is long, one after the other."""
    at = np.repeat(np.arange(frame.height), length)
    times = np.sort(frame["_time"].to_numpy()[at])
    return frame[at].with_columns(_time=times, _id=pl.Series([str(n) for n in range(at.size)]))


def drift_of(window, column):
    return next(row for row in window.drift if row["column"] == column)


def test_independent_rows_have_hardly_an_effect(world, judge):
    window, _ = judge(world.rows(5_000, 7))
    effects = [row["effect"] for row in window.drift]
    assert 1 <= np.median(effects) < 3
    assert (
        "count for" not in drift_of(window, "n0")["why"] or drift_of(window, "n0")["effect"] > 1.5
    )


def test_rows_in_runs_count_for_as_many_as_there_are_runs(world, judge):
    window, alarms = judge(in_runs(world.rows(250, 7), 20))
    assert alarms == []
    row = drift_of(window, "n0")
    assert 10 < row["effect"] < 60
    assert "rows depend on those before them and count for" in row["why"]
    assert row["radius"] > 2 * drift_of(judge(world.rows(5_000, 7))[0], "n0")["radius"]


def test_what_windows_before_have_shown_is_reckoned_with(world, judge):
    earlier = [judge(world.rows(5_000, seed))[0] for seed in range(10, 20)]
    own, _ = judge(world.rows(5_000, 7))
    known, _ = judge(world.rows(5_000, 7), earlier=earlier)
    own_radii, radii = ([row["radius"] for row in w.drift] for w in (own, known))
    assert np.mean(radii) < np.mean(own_radii)


def test_a_break_in_the_middle_of_a_window_does_not_hide_itself(world, judge):
    earlier = [judge(world.rows(2_000, seed))[0] for seed in range(10, 20)]
    frame = world.rows(2_000, 7)
    broken = frame.with_columns(
        n3=pl.when(pl.col("_time") > 500).then(pl.col("n3") + 8).otherwise("n3")
    )
    alone, _ = judge(broken)
    window, alarms = judge(broken, earlier=earlier)
    assert ("drift", "n3") in {(alarm.kind, alarm.subject) for alarm in alarms}
    assert drift_of(window, "n3")["effect"] < drift_of(alone, "n3")["effect"]


def test_windows_of_another_version_teach_nothing(world, judge):
    earlier = [judge(in_runs(world.rows(250, seed), 8))[0] for seed in range(10, 20)]
    elsewhere = [type(one)(**{f: getattr(one, f) for f in one.__struct_fields__} | {"version": 9})
                 for one in earlier]  # fmt: skip
    plain, _ = judge(world.rows(2_000, 7))
    strange = judge(world.rows(2_000, 7), earlier=elsewhere)[0]
    assert (strange.drift, strange.quality) == (plain.drift, plain.quality)
    assert judge(world.rows(2_000, 7), earlier=earlier)[0].drift != plain.drift


def test_gaps_that_come_in_runs_as_at_training_are_no_alarm(world, judge):
    # n2 lacks 5 % of its values at training; here one outage of 8 % of the rows.
    frame = world.rows(500, 7)
    outage = frame.with_columns(
        n2=pl.when(pl.col("_time").is_between(300, 380)).then(None).otherwise("n2")
    )
    window, alarms = judge(outage)
    assert alarms == []
    check = next(r for r in window.quality if (r["column"], r["check"]) == ("n2", "missing"))
    assert check["effect"] > 2
    assert "They come in runs" in check["why"]


def test_gaps_where_training_had_none_are_an_alarm_however_they_come(world, judge):
    frame = world.rows(2_000, 7)
    outage = frame.with_columns(
        n0=pl.when(pl.col("_time").is_between(300, 380)).then(None).otherwise("n0")
    )
    _, alarms = judge(outage)
    assert {(alarm.kind, alarm.subject) for alarm in alarms} == {("quality", "n0")}


def test_rows_without_times_are_taken_as_independent(world, judge):
    window, _ = judge(in_runs(world.rows(250, 7), 8).drop("_time"))
    assert {row.get("effect") for row in window.drift} == {1.0}


def test_a_window_of_dependent_rows_that_count_for_few_is_stated(world, judge):
    window, alarms = judge(in_runs(world.rows(20, 7), 50))
    assert alarms == []
    row = drift_of(window, "n0")
    assert row["verdict"] == "too few rows"
    assert "depend on each other so much that they count for" in row["why"]


def test_every_row_says_in_words_what_it_could_not_have_seen(world, judge):
    window, _ = judge(world.rows(5_000, 7))
    assert "standard deviations of the mean" in drift_of(window, "n0")["smallest_in_words"]
    assert "points from one category to others" in drift_of(window, "city")["smallest_in_words"]
    assert drift_of(window, "n0")["smallest_in_words"] in drift_of(window, "n0")["why"]
    missing = next(r for r in window.quality if (r["column"], r["check"]) == ("n0", "missing"))
    assert 0.02 < missing["smallest"] < 0.05


def test_the_order_is_that_of_event_time_and_of_ids_where_times_are_equal():
    frame = pl.DataFrame({"_time": [3.0, 1.0, 1.0], "_id": ["c", "b", "a"]})
    assert event_order(frame).tolist() == [2, 1, 0]
    assert event_order(frame.sort("_time")).tolist() == []
    assert event_order(frame.drop("_time")) is None
    assert order_among(np.array([2, 1, 0]), np.array([True, False, True])).tolist() == [1, 0]
