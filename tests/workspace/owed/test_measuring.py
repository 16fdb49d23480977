"""A feature is worth what its absence costs, by a model that has not seen the rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.scaling.models.model import FittedModel, Model
from mainspring.workspace.owed.measuring import ablate


def world(rows: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, rows))
    kind = rng.choice(["u", "v", "w"], rows)
    logit = 1.5 * a + b + 1.5 * (kind == "u")
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "noise": noise,
            "twin": a + 0.05 * rng.normal(size=rows),
            "kind": kind,
            "late": rng.random(rows) < 1 / (1 + np.exp(-logit)),
            "value": 2 * a + b + 0.1 * rng.normal(size=rows),
        }
    )


def fitted(columns: list[str], rows: int = 4_000, target: str = "late", **more) -> FittedModel:
    table = world(rows)
    estimator = LinearRegression() if target == "value" else LogisticRegression()
    model = Model(estimator, target, columns=columns, **more)
    return model.fit(table[: rows // 2], holdout=table[rows // 2 :])


def test_features_that_all_help_leave_nothing_to_report():
    found = ablate("m/1", fitted(["a", "b", "kind"]))
    assert found.passed is True
    assert {one.worth for one in found.features} <= {"useful", "used"}
    assert found.groups == []
    assert sum(one.share for one in found.features) == pytest.approx(1.0, abs=0.3)


def test_a_noise_feature_is_reported_and_the_others_are_not():
    found = ablate("m/1", fitted(["a", "b", "kind", "noise"]))
    assert found.without_gain() == ["noise"]
    assert found.passed is False
    assert found.features[0].name == "noise"
    assert found.features[0].relied_low <= 0
    assert max(found.features, key=lambda one: one.relied).name == "a"


def test_few_rows_do_not_make_a_useful_feature_suspect():
    found = ablate("m/1", fitted(["a", "b", "noise"], rows=1_200))
    worths = {one.name: one.worth for one in found.features}
    assert worths["b"] in ("useful", "used")
    assert found.without_gain() == ["noise"]


def test_of_twins_the_one_that_models_listen_to_is_kept():
    found = ablate("m/1", fitted(["a", "b", "twin"]))
    [pair] = [one for one in found.groups if one.why == "correlated"]
    assert pair.names == ["a", "twin"]
    assert pair.low > 0
    assert pair.rest_low <= 0
    relied = {one.name: one.relied for one in found.features}
    assert pair.keep == max(pair.names, key=relied.__getitem__)
    assert found.without_gain() == [name for name in pair.names if name != pair.keep]


def test_the_same_version_gives_the_same_figures():
    model = fitted(["a", "noise"], rows=800)
    one, other = (ablate("m/1", model) for _ in range(2))
    assert [(f.name, f.gain, f.low, f.relied) for f in one.features] == [
        (f.name, f.gain, f.low, f.relied) for f in other.features
    ]


def test_what_a_feature_costs_is_told_with_the_columns_it_reads():
    table = world(2_000).with_columns(
        pl.when(pl.int_range(pl.len()) % 4 == 0).then(None).otherwise(pl.col("b")).alias("b")
    )
    model = Model(
        HistGradientBoostingClassifier(max_iter=2),
        "late",
        columns=["a", "b"],
        features={"both": "a + b", "b": "b"},
    )
    found = ablate("m/1", model.fit(table[:1_000], holdout=table[1_000:]))
    costs = {one.name: one.cost for one in found.features}
    assert costs["both"].reads == ["a", "b"]
    assert costs["b"].missing == pytest.approx(0.25)
    assert costs["b"].bytes >= 8
    assert costs["both"].micros > 0
    plain = ablate("m/1", fitted(["a"], rows=1_000))
    assert plain.features[0].cost.micros is None


def test_numbers_and_many_classes_are_measured_too():
    found = ablate("m/1", fitted(["a", "b", "noise"], target="value", rows=2_000))
    assert found.without_gain() == ["noise"]
    table = world(2_000).with_columns(
        pl.when(pl.col("a") < -0.5)
        .then(pl.lit("low"))
        .when(pl.col("a") < 0.5)
        .then(pl.lit("mid"))
        .otherwise(pl.lit("high"))
        .alias("level")
    )
    model = Model(LogisticRegression(), "level", columns=["a", "noise"])
    found = ablate("m/1", model.fit(table[:1_000], holdout=table[1_000:]))
    assert found.without_gain() == ["noise"]


def test_where_nothing_can_be_said_it_says_why():
    few = ablate("m/1", fitted(["a", "b"], rows=150))
    assert few.reason == "It keeps 75 labelled rows, and 100 are needed."
    assert few.passed is None
    table = world(800)
    model = Model(LogisticRegression(), "late", columns=["a"])
    same = model.fit(table[:400], holdout=table[400:].filter(pl.col("late")))
    assert "The target is the same in all" in ablate("m/1", same).reason


def test_a_constant_feature_is_surely_useless():
    table = world(1_000).with_columns(pl.lit(1.0).alias("constant"))
    model = Model(LogisticRegression(), "late", columns=["a", "constant"])
    found = ablate("m/1", model.fit(table[:500], holdout=table[500:]))
    assert found.without_gain(sure=True) == ["constant"]
