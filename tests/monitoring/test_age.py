"""The age of a model, and the curve by which models here grow stale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.monitoring.sights import people, sight, window

from mainspring.ground.objects import DAY_S, Finding, MonitorPolicy
from mainspring.monitoring.age import age_on_inputs, curve_of, judged, points_of
from mainspring.monitoring.sight import Beside


def labelled_windows(rise_per_day, count=12, seed=0, start=0.0, rows=1000):
    rng = np.random.default_rng(seed)
    made = []
    for n in range(count):
        age = 7.0 * (n % 6 + 1)  # two versions, each of six weeks
        loss = 0.1 + start + rise_per_day * age + rng.normal(0, 0.002)
        made.append(
            window(
                n * 7 * DAY_S,
                (n + 1) * 7 * DAY_S,
                rows,
                version=1 + n // 6,
                performance={"loss": {"estimate": loss}, "baseline_loss": 0.1, "rows": rows},
                found=[Finding(monitor="age", subject="age", value=age)],
            )
        )
    return made[::-1]


def at(age_days, earlier=(), **policy):
    seen = sight(
        people(10, 1),
        policy=MonitorPolicy(**policy),
        span=(0.0, 100 * DAY_S),
        earlier=list(earlier),
        beside=Beside(trained_until=(100 - age_days) * DAY_S),
    )
    return age_on_inputs(seen)[0]


def test_an_age_without_a_past_is_stated():
    found = at(12.5)
    assert (found.value, found.verdict) == (12.5, "quiet")
    assert "no staleness curve yet" in found.why
    assert found.detail["curve"] is None


def test_a_model_older_than_declared_is_an_alarm():
    assert at(29, max_age_s=30 * DAY_S).verdict == "quiet"
    old = at(31, max_age_s=30 * DAY_S)
    assert old.verdict == "alarm"
    assert old.line == 30.0
    assert "30 days are declared" in old.why


def test_the_curve_says_when_too_much_is_lost():
    earlier = labelled_windows(rise_per_day=0.001)
    found = at(5, earlier)
    assert found.verdict == "quiet"
    assert found.line == pytest.approx(10.0, abs=3.0)  # 0.01 tolerated, 0.001 a day
    assert found.detail["curve"]["per_day"] == pytest.approx(0.001, abs=2e-4)
    assert found.detail["points"] == 12


def test_past_what_the_curve_tolerates_for_certain_is_an_alarm():
    assert at(40, labelled_windows(rise_per_day=0.001)).verdict == "alarm"
    assert at(10, labelled_windows(rise_per_day=0.001)).verdict == "quiet"  # not certain yet


def test_a_curve_that_does_not_rise_is_no_matter_of_age():
    flat = at(60, labelled_windows(rise_per_day=0.0, start=0.05))
    assert flat.verdict == "quiet"  # models are worse than on their holdout, but not by age


def test_flat_curves_raise_no_alarm():
    found = [at(60, labelled_windows(0.0, seed=seed)).verdict for seed in range(300)]
    assert found.count("alarm") == 0


def test_what_is_not_known_is_said():
    seen = dataclasses.replace(sight(people(10, 1)), beside=Beside())
    found = age_on_inputs(seen)[0]
    assert (found.value, found.verdict) == (None, "not judged")


def test_windows_without_labels_or_age_are_no_points():
    whole = labelled_windows(0.001, count=8)
    bare = [window(0.0, 1.0), window(0.0, 1.0, performance={"loss": None, "baseline_loss": 0.1})]
    assert len(points_of([*whole, *bare])) == 8
    assert points_of(whole)[0].window == "loans:0"
    assert curve_of(points_of(whole)[:5])[0] is None
    assert "6 windows" in curve_of(points_of(whole)[:5])[1]
    assert judged(DAY_S, [], MonitorPolicy()).value == 1.0
