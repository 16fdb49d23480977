"""Trainings that learn pass, those that cannot are found out, and models come back whole."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.testing import assert_learns, assert_restores


def rows(target: str) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 120))
    y = {
        "binary": rng.random(120) < 0.5,
        "multiclass": rng.choice(["x", "y", "z"], size=120),
        "regression": rng.normal(size=120),
    }[target]
    return pl.DataFrame({"a": a, "b": b, "y": y})


def test_a_model_learns_something_even_of_random_rows() -> None:
    for kind, estimator in (
        ("binary", LogisticRegression(C=100.0)),
        ("multiclass", LogisticRegression(C=100.0)),
        ("regression", LinearRegression()),
    ):
        model = assert_learns(ms.Model(estimator, "y", kind), rows(kind))
        assert model.signature.kind == kind


def test_a_training_that_ignores_its_rows_is_found_out() -> None:
    def lazy(table: pl.DataFrame, shift: int) -> ms.FittedModel:
        moved = table.with_columns(pl.col("y").shift(shift).fill_null(False))
        return ms.Model(LogisticRegression(C=100.0), "y", "binary").fit(moved)

    with pytest.raises(AssertionError, match="did not learn"):
        assert_learns(lazy, rows("binary"), shift=7)
    with pytest.raises(AssertionError, match="did not learn"):
        assert_learns(ms.Model(DummyClassifier(strategy="prior"), "y", "binary"), rows("binary"))
    with pytest.raises(BadInputError, match="found int"):
        assert_learns(lambda table: 3, rows("binary"))


def test_a_model_that_was_kept_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows("binary")
    model = ms.Model(LogisticRegression(), "y", "binary").fit(table)
    assert_restores(model, table)
    other = ms.Model(LogisticRegression(C=1e-3), "y", "binary").fit(table)
    wrong = other.score(table)
    monkeypatch.setattr(type(model), "score", lambda self, given: wrong)
    with pytest.raises(AssertionError, match="native form it scores up to"):
        assert_restores(model, table)
