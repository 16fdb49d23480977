"""What a model elsewhere listens to is learnt from its score; what cannot be is all relevant."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.workspace.feeding.surrogate import shares

RNG = np.random.default_rng(0)
INPUTS = pl.DataFrame({
    "a": RNG.normal(size=2_000), "b": RNG.normal(size=2_000),
    "city": RNG.choice(["Ulm", "Bonn", "Hof"], 2_000), "idle": RNG.normal(size=2_000),
})  # fmt: skip


def test_a_column_the_score_does_not_follow_is_worth_nothing():
    city = (INPUTS["city"] == "Ulm").cast(pl.Float64).to_numpy()
    score = 1 / (1 + np.exp(-2 * INPUTS["a"].to_numpy() - city))
    found, said = shares(INPUTS, score.reshape(-1, 1))
    assert found["a"] > 0.5
    assert found["city"] > 0.01
    assert found["idle"] < 0.05
    assert "surrogate" in said


def test_what_only_matters_together_is_found_by_trees():
    score = (INPUTS["a"] * INPUTS["b"] > 0).cast(pl.Float64).to_numpy()
    found, _ = shares(INPUTS, score.reshape(-1, 1))
    assert min(found["a"], found["b"]) > 0.3


def test_a_score_that_nothing_explains_leaves_every_column_relevant():
    for score in (RNG.random((2_000, 1)), np.full((2_000, 1), 0.5), None):
        found, said = shares(INPUTS, score)
        assert set(found.values()) == {1.0}
        assert "every column counts as relevant" in said


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 3))
def test_any_number_of_rows_and_missing_values_has_shares(rows, classes):
    numbers = [float("nan"), 1.0] * (rows // 2) + [2.0] * (rows % 2)
    inputs = pl.DataFrame({"a": [None] * rows, "b": numbers})
    found, _ = shares(inputs, np.full((rows, classes), 0.5))
    assert set(found) == {"a", "b"}
    assert all(0 <= one <= 1 for one in found.values())
