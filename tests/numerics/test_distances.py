"""Distances: hand cases, laws, scipy as the oracle, and radii that are kept under no drift."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mainspring.numerics import distances as d
from mainspring.numerics.errors import BinsDifferError, OutOfRangeError, TooFewError

SAMPLE = npst.arrays(
    np.float64, st.integers(1, 80), elements=st.floats(-50, 50, width=16) | st.sampled_from([0, 1])
)
PAIR = st.integers(1, 12).flatmap(
    lambda k: st.tuples(
        *[
            npst.arrays(np.int64, k, elements=st.integers(0, 50)).filter(lambda c: c.sum() > 0)
            for _ in range(2)
        ]
    )
)
ON_COUNTS = [d.ks_from_counts, d.total_variation, d.psi, d.jensen_shannon]


@given(SAMPLE, SAMPLE)
def test_ks_and_wasserstein_agree_with_scipy(first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the p-value, which is not compared
        expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert d.ks_from_samples(first, second) == pytest.approx(expected, abs=1e-12)
    moved = stats.wasserstein_distance(first, second)
    assert d.wasserstein(first, second, scale=2.0) == pytest.approx(moved / 2, abs=1e-9)


@given(PAIR)
def test_jensen_shannon_agrees_with_scipy_and_total_variation_with_its_formula(pair):
    p, q = pair[0] / pair[0].sum(), pair[1] / pair[1].sum()
    # scipy takes the root of a tiny negative number where shares are equal.
    expected = 0.0 if np.allclose(p, q) else jensenshannon(p, q)
    assert d.jensen_shannon(*pair) == pytest.approx(expected, abs=1e-7)
    assert d.total_variation(*pair) == pytest.approx(np.abs(p - q).sum() / 2)


@pytest.mark.parametrize("distance", ON_COUNTS)
@given(pair=PAIR, times=st.integers(2, 5))
def test_distances_of_counts_are_symmetric_and_zero_on_equal_counts(distance, pair, times):
    first, second = pair
    assert distance(first, second) == pytest.approx(distance(second, first), abs=1e-12)
    assert distance(first, first) == pytest.approx(0, abs=1e-12)
    assert distance(first, second) >= 0
    if (first > 0).all() and distance is not d.psi:
        assert distance(first, times * first) == pytest.approx(0, abs=1e-7)


@given(SAMPLE, SAMPLE, st.randoms())
def test_the_order_of_rows_and_missing_values_do_not_matter(first, second, random):
    shuffled = [*first.tolist(), math.nan]
    random.shuffle(shuffled)
    assert d.ks_from_samples(shuffled, second) == d.ks_from_samples(first, second)
    assert d.wasserstein(shuffled, second) == pytest.approx(d.wasserstein(first, second))


def test_hand_computed_cases():
    assert d.ks_from_samples([1, 1, 2], [1, 2, 2]) == pytest.approx(1 / 3)
    assert d.ks_from_counts([1, 0, 1], [0, 2, 0]) == 0.5
    assert d.total_variation([10, 0], [0, 3]) == 1
    assert d.psi([50, 50], [60, 40]) == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8))
    # The empty cell counts as half a row of ten: 0.05 against 0.5.
    assert d.psi([5, 5], [10, 0]) == pytest.approx(0.5 * math.log(2) - 0.45 * math.log(0.1))
    assert d.jensen_shannon([1, 0], [0, 1]) == pytest.approx(math.sqrt(math.log(2)))
    assert d.wasserstein([0, 2], [3, 5]) == 3  # moved by 3, one standard deviation is 1
    assert d.wasserstein([4, 4], [5, 5]) == 1  # no spread counts as 1


def test_radii_are_those_of_the_sizing_note():
    # alpha 0.001, 40 things, reference 50,000 rows
    for rows, radius in ((500, 0.107), (5_000, 0.035), (100_000, 0.0130)):
        assert d.certain_radius(50_000, rows, 40) == pytest.approx(radius, abs=6e-4)
    by_hand = math.sqrt(math.log(2 * 3 / 0.01) / 2 * (10 + 20) / (10 * 20))
    assert d.certain_radius(10, 20, 3, alpha=0.01) == pytest.approx(by_hand)
    bias = 2 * 0.5 * math.sqrt(2 / math.pi * 0.25 * (1 / 10 + 1 / 20))
    assert d.total_variation_bias([0.5, 0.5], 10, 20) == pytest.approx(bias)
    assert d.category_radius([0.5, 0.5], 10, 20, 3, 0.01) == pytest.approx(bias + by_hand)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 500))
def test_a_radius_shrinks_with_rows_and_grows_with_things(n, m, things):
    radius = d.certain_radius(n, m, things)
    assert d.certain_radius(n, 2 * m, things) < radius < d.certain_radius(n, m, things + 1)
    assert d.certain_radius(m, n, things) == radius
    assert d.smallest_visible(n, m, things) == min(radius, 1)


def test_without_drift_hardly_a_window_leaves_a_radius():
    rng = np.random.default_rng(11)
    shares = np.full(30, 1 / 30)
    beyond = np.zeros(2)
    windows, columns, alpha = 200, 5, 0.05
    for _ in range(windows):
        ks = [
            d.ks_from_samples(rng.normal(size=400), rng.normal(size=150)) for _ in range(columns)
        ]
        tv = [
            d.total_variation(rng.multinomial(400, shares), rng.multinomial(150, shares))
            for _ in range(columns)
        ]
        beyond += [
            max(ks) > d.certain_radius(400, 150, columns, alpha),
            max(tv) > d.category_radius(shares, 400, 150, columns, alpha),
        ]
    # 5 % of 200 are 10; 20 are more than three standard deviations above.
    assert (beyond <= 20).all()


def test_biases_are_those_of_simulated_windows_without_drift():
    rng = np.random.default_rng(12)
    shares = np.full(10, 0.1)
    pairs = [(rng.multinomial(2_000, shares), rng.multinomial(500, shares)) for _ in range(2_000)]
    psi = np.mean([d.psi(*pair) for pair in pairs])
    assert psi == pytest.approx(d.psi_bias(10, 2_000, 500), rel=0.05)
    variation = np.mean([d.total_variation(*pair) for pair in pairs])
    assert variation == pytest.approx(d.total_variation_bias(shares, 2_000, 500), rel=0.03)


@pytest.mark.parametrize("distance", ON_COUNTS)
def test_counts_that_cannot_be_compared_are_refused(distance):
    with pytest.raises(BinsDifferError):
        distance([1, 2], [1, 2, 3])
    with pytest.raises(TooFewError):
        distance([0, 0], [1, 2])


def test_empty_sides_and_impossible_chances_are_refused():
    with pytest.raises(TooFewError):
        d.ks_from_samples([], [1.0])
    with pytest.raises(TooFewError):
        d.wasserstein([math.nan], [1.0])
    with pytest.raises(TooFewError):
        d.certain_radius(0, 5)
    with pytest.raises(OutOfRangeError):
        d.certain_radius(5, 5, things=0)
    with pytest.raises(OutOfRangeError):
        d.certain_radius(5, 5, alpha=1.0)
