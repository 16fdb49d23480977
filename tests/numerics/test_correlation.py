"""Columns that move together: scipy as oracle, laws, and rates under no change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mainspring.numerics.correlation import (
    auc_lower_bound,
    correlation_changes,
    rank_correlations,
)
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError

TABLES = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).integers(0, 6, (40, 3)).astype(float)
)


@settings(max_examples=50)
@given(TABLES)
def test_correlations_with_ties_are_those_of_scipy(table):
    wanted = stats.spearmanr(table).statistic
    assert rank_correlations(table) == pytest.approx(wanted, abs=1e-10)


@settings(max_examples=50)
@given(TABLES, st.integers(0, 100))
def test_they_are_symmetric_and_stable_under_the_order_of_rows(table, seed):
    found = rank_correlations(table)
    assert found.tolist() == found.T.tolist()
    shuffled = np.random.default_rng(seed).permutation(table)
    assert rank_correlations(shuffled) == pytest.approx(found)
    assert rank_correlations(np.exp(table)) == pytest.approx(found)


def test_missing_values_say_nothing_and_constants_are_0():
    gap = np.array([[1.0, 1.0, 7.0], [2.0, np.nan, 7.0], [3.0, 3.0, 7.0], [4.0, 2.0, 7.0]])
    found = rank_correlations(gap)
    # Ranks 1, -, 3, 2 less their mean, and 0 for the gap: (-1, 0, 1, 0) with (-3, -1, 1, 3) / 2.
    assert found[0, 1] == pytest.approx(2 / np.sqrt(2 * 5))
    assert found[0, 2] == 0
    assert found[2, 2] == 1


def test_equal_matrices_have_no_change_and_a_flip_is_certain():
    before = rank_correlations(np.random.default_rng(0).normal(size=(500, 4)))
    none = correlation_changes(before, before, 500, 500, 0.001)
    assert not none.certain.any()
    flipped = before.copy()
    flipped[0, 1] = flipped[1, 0] = 0.8
    found = correlation_changes(before, flipped, 500, 500, 0.001)
    assert [
        (a, b) for a, b, c in zip(found.first, found.second, found.certain, strict=True) if c
    ] == [(0, 1)]


def test_the_smallest_change_that_is_certain_is_certain():
    before = np.array([[1, 0.3], [0.3, 1]])
    reach = correlation_changes(before, before, 800, 900, 0.001).reach[0]
    for factor, certain in ((0.98, False), (1.02, True)):
        now = np.array([[1, 0.3 - factor * reach], [0.3 - factor * reach, 1]])
        assert correlation_changes(before, now, 800, 900, 0.001).certain[0] == certain


def test_chance_is_certain_as_rarely_as_said():
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        before, now = (rank_correlations(rng.normal(size=(300, 8))) for _ in range(2))
        alarms += correlation_changes(before, now, 300, 300, 0.05).certain.any()
    assert alarms <= 33  # 0.05 * 400 = 20, and three deviations


def test_bad_matrices_are_refused():
    with pytest.raises(ShapesDifferError, match="matrix"):
        rank_correlations([1, 2, 3])
    with pytest.raises(TooFewError, match="at least 3 rows"):
        rank_correlations([[1, 2], [2, 3]])
    square = np.eye(2)
    with pytest.raises(ShapesDifferError, match="same columns"):
        correlation_changes(square, np.eye(3), 50, 50, 0.1)
    with pytest.raises(TooFewError, match="10 rows"):
        correlation_changes(square, square, 5, 50, 0.1)
    with pytest.raises(OutOfRangeError, match="alpha"):
        correlation_changes(square, square, 50, 50, 2)


def test_the_bound_of_an_auc_is_that_of_the_rank_test():
    # 0.05 one-sided, 100 and 100 rows: 1.645 * sqrt(201 / 120000) = 0.0673.
    assert auc_lower_bound(0.6, 100, 100, 0.05) == pytest.approx(0.6 - 0.06732, abs=1e-4)
    assert auc_lower_bound(0.01, 5, 5, 0.001) == 0
    with pytest.raises(TooFewError, match="both sides"):
        auc_lower_bound(0.6, 0, 5, 0.05)
