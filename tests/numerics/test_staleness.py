"""The staleness curve: a hand case, numpy as oracle, coverage of its bound, and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.staleness import best_interval, fit

POINTS = st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 1)), min_size=6, max_size=30)


def test_points_on_a_line_give_that_line():
    curve = fit([1, 2, 3, 4, 5, 6], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [5] * 6)
    assert curve.at(10) == pytest.approx(1.0)
    assert curve.reaches(0.25) == pytest.approx(2.5)
    assert curve.low(4, 0.01) == pytest.approx(0.4)
    assert curve.rises(0.001)


@given(POINTS)
@settings(max_examples=50)
def test_it_agrees_with_scipy(points):
    ages, rises = np.array(points).T
    if np.ptp(ages) < 1 or np.ptp(rises) < 1e-3:
        return
    curve, expected = fit(ages, rises, np.ones(len(ages))), stats.linregress(ages, rises)
    assert curve.slope == pytest.approx(expected.slope, abs=1e-9)
    assert curve.start == pytest.approx(expected.intercept, abs=1e-7)
    error = curve.scatter / np.sqrt(curve.spread)
    assert error == pytest.approx(expected.stderr, abs=1e-9)


@given(POINTS)
@settings(max_examples=50)
def test_a_row_counted_twice_weighs_twice(points):
    ages, rises = np.array(points).T
    if np.ptp(ages) < 1:
        return
    weights = np.arange(1, len(ages) + 1)
    once = fit(ages, rises, weights)
    twice = fit(np.repeat(ages, weights), np.repeat(rises, weights), np.ones(weights.sum()))
    assert once.at(50) == pytest.approx(twice.at(50), abs=1e-7)


def test_the_bound_is_passed_as_seldom_as_it_says():
    rng = np.random.default_rng(1)
    ages = np.arange(10.0)
    below = sum(
        fit(ages, 0.01 * ages + rng.normal(0, 0.1, 10), np.ones(10)).low(12, 0.05) > 0.12
        for _ in range(500)
    )
    assert below <= 25 + 4 * 5


def test_lines_that_fall_reach_nothing_and_high_ones_have():
    falling = fit([1, 2, 3, 4, 5, 6], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], [1] * 6)
    assert falling.reaches(1.0) is None
    assert falling.reaches(0.5) == 0.0
    assert not falling.rises(0.4)


def test_too_little_is_refused():
    with pytest.raises(TooFewError, match="found 2"):
        fit([1, 2], [0.1, 0.2], [1, 1])
    with pytest.raises(TooFewError, match="different age"):
        fit([3] * 6, range(6), [1] * 6)
    with pytest.raises(ShapesDifferError):
        fit([1] * 6, [1] * 5, [1] * 6)


@given(st.floats(1e-6, 1e-2), st.floats(1, 1e6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e6))
def test_no_other_interval_costs_less_than_the_best(slope, volume, value, cost):
    best = best_interval(slope, volume, value, cost)

    def costs(every):
        return volume * value * slope * every / 2 + cost / every

    assert costs(best) <= min(costs(best * 0.9), costs(best * 1.1))


def test_where_waiting_loses_nothing_no_interval_is_the_best():
    assert best_interval(0.0, 100, 1.0, 5.0) is None
    assert best_interval(-0.1, 100, 1.0, 5.0) is None
    with pytest.raises(OutOfRangeError, match="cannot be negative"):
        best_interval(0.1, 100, 1.0, -5.0)
