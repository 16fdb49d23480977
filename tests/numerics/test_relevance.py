"""Relevance: the shares are those of the model's own response."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.relevance import response_shares

RNG = np.random.default_rng(0)
TABLE = {
    "x": RNG.normal(size=2_000),
    "y": RNG.normal(size=2_000),
    "city": ["Ulm", "Bonn"] * 1_000,
    "unused": RNG.normal(size=2_000),
}


def linear(rows):
    return 3 * rows["x"] - rows["y"]


def test_a_linear_score_is_shared_by_its_weights():
    shares = response_shares(linear, TABLE, rng_seed=1)
    assert shares["x"] == pytest.approx(0.75, abs=0.03)
    assert shares["y"] == pytest.approx(0.25, abs=0.03)
    assert shares["city"] == shares["unused"] == 0


def test_text_columns_and_wide_scores_are_taken():
    def by_city(rows):
        ulm = np.array([city == "Ulm" for city in rows["city"]], dtype=float)
        return np.column_stack((ulm, 1 - ulm))

    assert response_shares(by_city, TABLE)["city"] == 1


@given(st.integers(0, 2**32))
def test_shares_sum_to_one_and_a_seed_repeats_them(seed):
    shares = response_shares(linear, TABLE, seed)
    assert sum(shares.values()) == pytest.approx(1)
    assert response_shares(linear, TABLE, seed) == shares


def test_a_model_that_listens_to_nothing_has_no_shares():
    shares = response_shares(lambda rows: np.ones(len(rows["x"])), TABLE)
    assert set(shares.values()) == {0.0}
    assert response_shares(linear, {}) == {}
    assert response_shares(lambda rows: rows["a"], {"a": np.empty(0)}) == {"a": 0.0}


def test_the_shares_rank_as_scikit_learns_permutation_importance_does():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    names = ["x", "y", "unused"]
    matrix = np.column_stack([TABLE[name] for name in names])[:600]
    model = RandomForestRegressor(10, random_state=0).fit(matrix, matrix @ [3.0, -1.0, 0.0])
    found = response_shares(
        lambda rows: model.predict(np.column_stack([rows[name] for name in names])),
        dict(zip(names, matrix.T, strict=True)),
    )
    expected = permutation_importance(model, matrix, model.predict(matrix), random_state=0)
    assert sorted(names, key=found.__getitem__) == [
        names[i] for i in np.argsort(expected.importances_mean)
    ]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ShapesDifferError):
        response_shares(linear, {"x": np.zeros(2), "y": np.zeros(3)})
