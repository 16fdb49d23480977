"""The same rows through both paths: equal is silent, different is located."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.monitoring.sights import SIGNATURE, people, sight, window

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Finding, MonitorPolicy
from mainspring.monitoring.sight import Beside, Paths
from mainspring.monitoring.skew import compare_values, differing, skew_on_inputs


def model(rows: pl.DataFrame):
    return np.clip(0.5 + 0.25 * rows["income"].to_numpy(), 0.02, 0.98).reshape(-1, 1)


def paths(rows: pl.DataFrame, estimator: bool) -> Paths:
    same = rows.select("income", "age")
    return Paths(trained=same, served=same, scores=model(rows) if estimator else None)


def look(frame, **given):
    given = {"score": model, "beside": Beside(paths=paths), **given}
    return {one.subject: one for one in skew_on_inputs(sight(frame, **given))}


def test_equal_paths_are_silent():
    found = look(people(500, 1))
    assert {name: (one.value, one.verdict) for name, one in found.items()} == {
        "score": (0.0, "quiet"), "features": (0.0, "quiet"), "estimator": (0.0, "quiet"),
    }  # fmt: skip


def test_answers_that_the_model_does_not_give_are_located():
    frame = people(500, 1)
    wrong = frame.with_columns(
        _score=pl.when(pl.int_range(pl.len()) < 10).then(0.123).otherwise("_score")
    )
    found = look(wrong)["score"]
    assert found.verdict == "alarm"
    assert found.detail["differ"] == 10
    first = found.detail["where"][0]
    assert (first["row"], first["served"]) == ("1-0", 0.123)
    assert first["again"] == pytest.approx(model(frame)[0, 0])


def test_less_than_the_tolerated_rate_is_a_notice():
    wrong = people(1000, 1).with_columns(
        _score=pl.when(pl.int_range(pl.len()) < 1).then(0.123).otherwise("_score")
    )
    policy = MonitorPolicy(skew_rate=0.01)
    assert look(wrong, policy=policy)["score"].verdict == "notice"
    strict = MonitorPolicy(skew_rate=0.0)
    assert look(wrong, policy=strict)["score"].verdict == "alarm"


def test_a_feature_computed_in_two_ways_is_named_with_both_values():
    def forked(rows: pl.DataFrame, estimator: bool) -> Paths:
        trained = rows.select("income", "age")
        served = trained.with_columns(age=pl.col("age") / 100)
        return Paths(trained=trained, served=served)

    frame = people(300, 1)
    found = look(frame, beside=Beside(paths=forked))["features"]
    assert found.verdict == "alarm"
    assert found.value == 1.0
    first = found.detail["where"][0]
    assert first["feature"] == "age"
    assert first["served"] == pytest.approx(first["trained"] / 100)


def test_a_feature_that_one_path_lacks_is_skew():
    def lacking(rows: pl.DataFrame, estimator: bool) -> Paths:
        return Paths(trained=rows.select("income", "age"), served=rows.select("income"))

    found = look(people(300, 1), beside=Beside(paths=lacking))["features"]
    assert found.verdict == "alarm"
    assert found.detail["where"][0]["feature"] == "age"


def test_the_estimator_is_asked_for_the_first_window_and_every_twentieth():
    asked = Finding(monitor="skew", subject="estimator", value=0.0)
    before = [window(n * 1000.0, n * 1000.0 + 1000.0) for n in range(30)]
    with_one = [window(0.0, 1000.0, found=[asked])]
    other = [window(0.0, 1000.0, version=2, found=[asked])]
    assert "estimator" in look(people(50, 1), earlier=[])
    assert "estimator" in look(people(50, 1), earlier=other)
    assert "estimator" in look(people(50, 1), earlier=before)
    assert "estimator" not in look(people(50, 1), earlier=with_one)


def test_what_the_model_refuses_is_said():
    def refuses(rows: pl.DataFrame):
        raise BadInputError("Column 'age' is missing.")

    found = look(people(50, 1), score=refuses)
    assert found["score"].verdict == "not judged"
    assert "Column 'age' is missing" in found["score"].why
    assert look(people(0, 1))["score"].verdict == "not judged"
    assert look(people(5, 1), score=None, beside=Beside())["score"].verdict == "not judged"


def test_forms_may_differ_by_a_tolerance_and_missing_equals_missing():
    served = np.array([[0.5], [0.5], [np.nan], [np.nan], [0.5]])
    again = np.array([[0.5 + 9e-6], [0.5 + 2e-5], [np.nan], [0.1], [np.nan]])
    assert differing(served, again, SIGNATURE).tolist() == [False, True, False, True, True]
    assert differing(served, np.zeros((5, 2)), SIGNATURE).all()


def test_values_are_compared_by_type():
    left = pl.DataFrame({
        "n": [1.0, 2.0, None, float("nan"), 1e9], "t": ["a", None, "c", "d", "e"],
        "i": [1, 2, 3, 4, 5], "b": [True, False, None, True, True],
    })  # fmt: skip
    right = pl.DataFrame({
        "n": [1.0 + 1e-9, 2.1, None, None, 1e9 + 10], "t": ["a", None, "x", None, "e"],
        "i": [1.0, 2.0, 3.5, None, 5.0], "b": [True, True, None, None, True],
    })  # fmt: skip
    found = {name: apart.tolist() for name, apart in compare_values(left, right, "ntib").items()}
    assert found == {
        "n": [False, True, False, False, False],
        "t": [False, False, True, True, False],
        "i": [False, False, True, True, False],
        "b": [False, True, False, True, False],
    }
