"""Probabilities that stopped meaning what they say are found, and what would mend them is said."""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.labelled import COLOURS, NUMBER, rows, sight

from mainspring.monitoring.calibration import calibration


def looked(seen):
    found = calibration(seen)
    for one in found:
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
    return {one.subject: one for one in found}


def test_a_calibrated_window_is_quiet_and_shows_its_bins():
    frame = rows(4_000, 1)
    found = looked(sight(frame))
    assert {one.verdict for one in found.values()} == {"quiet"}
    assert set(found) == {"in_the_large", "ece", "reliability", "slope", "intercept"}
    gap = float((frame["_y"] - frame["_score"]).mean())
    assert found["in_the_large"].value == pytest.approx(gap)
    assert found["in_the_large"].low < gap < found["in_the_large"].high
    assert sum(rows for rows, _, _ in found["ece"].detail["bins"]) == 4_000
    assert found["slope"].low < 1 < found["slope"].high
    parts = found["reliability"]
    again = parts.value - parts.detail["resolution"] + parts.detail["uncertainty"]
    assert again + parts.detail["within"] == pytest.approx(parts.detail["brier"])


def test_a_moved_base_rate_is_an_alarm_that_names_the_cheaper_repair():
    found = looked(sight(rows(4_000, 2, late=0.8)))
    large = found["in_the_large"]
    assert large.verdict == "alarm"
    assert large.value - large.radius > large.line
    assert "too low on average" in large.why
    assert "The base rate has moved: refitting two numbers" in large.why
    assert large.detail["repair"]["prior_shift"] is True
    assert large.detail["repair"]["intercept"] == pytest.approx(0.8, abs=0.15)
    gain = large.detail["repair"]
    assert gain["brier_after"] < gain["brier_before"]
    assert found["ece"].verdict == "notice"


def test_scores_spread_wrongly_are_no_moved_base_rate():
    frame = rows(6_000, 3)
    odds = np.log(frame["_score"] / (1 - frame["_score"]))
    sure = frame.with_columns(_score=1 / (1 + np.exp(-2.5 * odds)))
    found = looked(sight(sure))
    assert found["slope"].high < 1
    assert found["in_the_large"].detail["repair"]["prior_shift"] is False
    assert found["ece"].verdict == "notice"


def test_what_it_was_off_by_at_training_is_no_news():
    before, now = rows(20_000, 4, late=0.8), rows(4_000, 5, late=0.8)
    assert looked(sight(now, before))["in_the_large"].verdict == "quiet"


def test_windows_like_training_raise_nothing():
    before = rows(8_000, 98)
    raised = [
        one.verdict
        for seed in range(120)
        for one in calibration(sight(rows(500, seed), before))
        if one.verdict == "alarm"
    ]
    assert raised == []


def test_several_classes_are_looked_at_by_the_one_that_was_said():
    rng = np.random.default_rng(0)

    def made(count, power):
        scores = rng.dirichlet([1, 1, 1], count)
        shares = scores**power / (scores**power).sum(axis=1, keepdims=True)
        truth = [int(rng.choice(3, p=p)) for p in shares]
        return pl.DataFrame(
            {"_version": [3] * count, "_score": scores.tolist(), "_y": truth},
            schema_overrides={"_y": pl.Int64},
        )

    kept = made(4_000, 1.0)
    quiet = looked(sight(made(3_000, 1.0), kept, COLOURS, loss=0.3))
    assert {one.verdict for one in quiet.values()} == {"quiet"}
    assert {"in_the_large", "in_the_large/a", "ece"} <= set(quiet)
    worse = looked(sight(made(3_000, 0.3), kept, COLOURS, loss=0.3))
    assert worse["in_the_large"].verdict == "alarm"
    assert "too high" in worse["in_the_large"].why


def test_odd_windows_are_told_and_not_judged():
    assert calibration(sight(rows(300, 1), labelled=False)) == []
    [few] = calibration(sight(rows(20, 1)))
    assert (few.verdict, few.value) == ("too few rows", None)
    assert "20 labelled rows" in few.why
    one_class = looked(sight(rows(400, 1).with_columns(_y=pl.lit(0, dtype=pl.Int64))))
    assert one_class["slope"].value is None
    assert "both classes" in one_class["slope"].why
    assert one_class["in_the_large"].verdict == "alarm"  # nothing came of what was said
    same = looked(sight(rows(400, 1).with_columns(_score=0.5)))
    assert same["ece"].value is not None
    value = rows(300, 1).with_columns(_y=pl.lit(1.0))
    assert calibration(sight(value, value, NUMBER)) == []
    without = looked(sight(rows(4_000, 2), before=rows(0, 0)))
    assert without["in_the_large"].baseline is None
