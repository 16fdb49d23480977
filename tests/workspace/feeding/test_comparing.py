"""Two tables, one window, one verdict; odd tables have a stated one."""

import numpy as np
import polars as pl
import pytest
from world import answered

import mainspring as ms
from mainspring.ground.errors import BadInputError

THEN = answered(4_000, 0)


def subjects(found):
    return {(one.kind, one.subject) for one in found.alarms}


def test_rows_of_the_same_kind_are_quiet_and_shifted_ones_are_not():
    calm = ms.check_window(answered(800, 1), THEN)
    assert (calm.verdict, calm.rows, calm.baseline_rows, calm.labelled) == (
        "quiet",
        800,
        4000,
        800,
    )
    moved = ms.check_window(answered(800, 2, shift=0.8), THEN)
    assert subjects(moved) >= {("drift", "x"), ("score_drift", "score")}


def test_the_order_of_rows_changes_no_verdict():
    rows = answered(800, 2, shift=0.2)
    one = ms.check_window(rows, THEN)
    other = ms.check_window(rows.sample(fraction=1.0, shuffle=True, seed=1), THEN)
    distances = [[row["distance"] for row in found.window.drift] for found in (one, other)]
    assert distances[0] == distances[1]


def test_labels_beside_the_rows_are_judged():
    worse = ms.check_window(answered(1_000, 3, worse=True), THEN)
    assert ("performance", "loss") in subjects(worse)
    assert ("drift", "x") not in subjects(worse)


@pytest.mark.parametrize(
    ("change", "alarm"),
    [
        (lambda rows: rows.drop("x"), ("quality", "x")),
        (lambda rows: rows.with_columns(x=pl.lit(None)), ("quality", "x")),
        (lambda rows: rows.with_columns(x=pl.lit("n/a?")), ("quality", "x")),
        (lambda rows: rows.with_columns(x=pl.col("x") * 100), ("drift", "x")),
    ],
)
def test_odd_tables_have_a_stated_verdict(change, alarm):
    assert alarm in subjects(ms.check_window(change(answered(800, 1)), THEN))


def test_what_the_model_does_not_listen_to_is_a_notice():
    found = ms.check_window(answered(800, 1).with_columns(city=pl.lit("Atlantis")), THEN)
    assert found.quiet
    assert {(one.monitor, one.subject) for one in found.notices} >= {("drift", "city")}


def test_a_window_of_one_row_a_constant_and_a_million_names_are_judged():
    one = ms.check_window(answered(1, 1), THEN)
    assert one.window.rows == 1
    constant = THEN.with_columns(x=pl.lit(1.0))
    assert ms.check_window(constant.head(500), constant).window.rows == 500
    names = THEN.with_columns(city=pl.Series([f"city {n}" for n in range(THEN.height)]))
    assert ms.check_window(names.head(500), names).window.rows == 500
    alike = answered(500, 1).with_columns(label=pl.lit(1))
    assert ms.check_window(alike, THEN).window.performance is not None


def test_nothing_but_inputs_is_enough():
    rng = np.random.default_rng(0)
    then = {"x": rng.normal(0, 1, 2_000), "y": rng.normal(0, 1, 2_000)}
    now = {"x": rng.normal(1, 1, 2_000), "y": rng.normal(0, 1, 2_000)}
    found = ms.check_window(now, then)
    assert {subject for _, subject in subjects(found)} == {"x"}
    assert "every column counts as relevant" in " ".join(found.said)


def test_the_frames_that_were_given_stay_as_they_were():
    now = answered(300, 1)
    before = now.columns
    ms.check_window(now, THEN)
    assert now.columns == before


def test_kinds_are_told_from_what_is_there():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, 1_000)
    value = {"x": x, "prediction": 3 * x + 10, "actual": 3 * x + 10 + rng.normal(0, 1, 1_000)}
    assert ms.check_window(value, value).window.performance["metrics"].keys() >= {"mae"}
    several = {
        "x": x, "prob_a": np.full(1_000, 0.2), "prob_b": np.full(1_000, 0.3),
        "prob_c": np.full(1_000, 0.5), "label": rng.choice(["a", "b", "c"], 1_000),
    }  # fmt: skip
    found = ms.check_window(several, several)
    assert found.columns.score == ["prob_a", "prob_b", "prob_c"]
    assert found.labelled == 1_000


@pytest.mark.parametrize(
    ("now", "then", "more"),
    [
        ({"x": [1.0]}, {"x": []}, {}),
        ({"x": []}, {"x": [1.0]}, {}),
        ({"x": [1.0]}, {"score": [0.5]}, {}),
        ({"x": [1.0]}, {"x": [1.0]}, {"score": "p"}),
        ({"x": [1.0]}, {"x": [1.0]}, {"nonsense": "x"}),
    ],
)
def test_what_cannot_be_compared_is_refused(now, then, more):
    with pytest.raises(BadInputError):
        ms.check_window(pl.DataFrame(now), pl.DataFrame(then), **more)
