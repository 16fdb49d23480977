"""Intervals, quantiles, calibration and regret: hand cases, oracles, and coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from sklearn.metrics import roc_auc_score

from mainspring.numerics import intervals as iv
from mainspring.numerics.calibration import calibration_in_the_large
from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)
from mainspring.numerics.quantiles import normal_quantile, student_quantile
from mainspring.numerics.regret import lower_regret, pays, regret
from mainspring.numerics.scores import auc

VALUES = npst.arrays(np.float64, st.integers(2, 60), elements=st.floats(-10, 10, width=16))


@given(st.floats(1e-6, 1 - 1e-6), st.integers(1, 3_000))
@settings(max_examples=200)
def test_student_quantiles_agree_with_scipy(probability, degrees):
    expected = stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@given(st.floats(1e-9, 1 - 1e-9))
def test_normal_quantiles_agree_with_scipy(probability):
    expected = stats.norm.ppf(probability)
    assert normal_quantile(probability) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_quantiles_refuse_what_is_no_probability():
    with pytest.raises(OutOfRangeError):
        normal_quantile(1.0)
    with pytest.raises(OutOfRangeError):
        student_quantile(0.9, 0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts):
    band = iv.wilson(*counts)
    expected = stats.binomtest(*counts).proportion_ci(method="wilson")
    assert (band.low, band.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= band.low <= band.estimate <= band.high <= 1


@given(VALUES)
def test_the_interval_of_a_mean_agrees_with_scipy(values):
    band = iv.mean_interval(values)
    assert band.n == values.size
    error = stats.sem(values)
    if error > 1e-6:
        expected = stats.t.interval(0.95, values.size - 1, values.mean(), error)
        assert (band.low, band.high) == pytest.approx(expected, abs=1e-6)


@given(VALUES)
def test_a_difference_is_mirrored_when_the_sides_are_swapped(values):
    there = iv.paired_difference(values, values[::-1] / 2)
    back = iv.paired_difference(values[::-1] / 2, values)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


@given(VALUES)
def test_with_every_row_its_own_block_the_block_interval_is_the_plain_one(values):
    plain, block = iv.mean_interval(values), iv.block_difference(values, np.arange(values.size))
    assert (block.low, block.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_repeating_every_row_inside_its_block_adds_no_certainty():
    values = np.random.default_rng(1).normal(size=12)
    once = iv.mean_interval(values)
    often = iv.block_difference(np.repeat(values, 50), np.repeat([f"d{i}" for i in range(12)], 50))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert often.n == 12


def test_the_block_interval_by_hand():
    # Deviations from the mean 2 sum to -2 in block a and 2 in block b: se = sqrt(2 * 8) / 4 = 1.
    band = iv.block_difference([1.0, 1.0, 2.0, 4.0], ["a", "a", "b", "b"])
    assert band.estimate == 2
    assert band.high == pytest.approx(2 + stats.t.ppf(0.975, 1))


def test_the_block_interval_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(2)
    covered = {"plain": 0, "block": 0}
    days = np.repeat(np.arange(25), 40)
    for _ in range(300):
        values = rng.normal(size=25)[days] * 0.5 + rng.normal(size=days.size)
        for name, band in (
            ("plain", iv.mean_interval(values)),
            ("block", iv.block_difference(values, days)),
        ):
            covered[name] += band.low <= 0 <= band.high
    assert covered["block"] / 300 > 0.91
    assert covered["plain"] / 300 < 0.7


def slow_delong(target, *columns):
    """Covariances over every pair of a positive and a negative, as the 1988 paper defines."""
    target = np.asarray(target, dtype=bool)
    over_positives, over_negatives = [], []
    for scores in columns:
        pairs = scores[target][:, None] - scores[~target][None, :]
        wins = (pairs > 0) + 0.5 * (pairs == 0)
        over_positives.append(wins.mean(axis=1))
        over_negatives.append(wins.mean(axis=0))
    s10, s01 = np.cov(over_positives), np.cov(over_negatives)
    return s10 / target.sum() + s01 / (~target).sum()


@given(
    st.integers(8, 60).flatmap(
        lambda n: st.tuples(
            *[npst.arrays(np.float64, n, elements=st.integers(0, 6).map(float))] * 2
        )
    )
)
def test_delong_by_midranks_agrees_with_all_pairs(columns):
    first, second = columns
    target = np.arange(first.size) % 3 == 0
    covariance = slow_delong(target, first, second)
    z = stats.norm.ppf(0.975)
    band = iv.delong_difference(target, first, second)
    assert band.estimate == pytest.approx(
        roc_auc_score(target, first) - roc_auc_score(target, second)
    )
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert band.high - band.estimate == pytest.approx(z * math.sqrt(max(variance, 0)), abs=1e-7)
    single = iv.delong(target, first)
    assert single.estimate == pytest.approx(auc(first, target))
    reach = z * math.sqrt(covariance[0, 0])
    assert single.low == pytest.approx(max(single.estimate - reach, 0), abs=1e-7)


def test_delong_and_hanley_mcneil_cover_a_known_auc():
    rng = np.random.default_rng(3)
    truth = stats.norm.cdf(1 / math.sqrt(2))
    target = np.arange(300) < 100
    hits = np.zeros(3)
    for _ in range(300):
        scores, other = rng.normal(size=(2, 300)) + target
        bands = [
            (iv.delong(target, scores), truth),
            (iv.hanley_mcneil(auc(scores, target), 100, 200), truth),
            (iv.delong_difference(target, scores, other), 0.0),
        ]
        hits += [band.low <= aim <= band.high for band, aim in bands]
    assert (hits / 300 > 0.91).all()
    assert (hits / 300 < 0.99).all()


def test_hanley_mcneil_by_hand():
    # A = 0.75, Q1 = 0.6, Q2 = 1.125 / 1.75, two rows a class.
    variance = (0.1875 + (0.6 - 0.5625) + (1.125 / 1.75 - 0.5625)) / 4
    band = iv.hanley_mcneil(0.75, 2, 2, confidence=0.5)
    assert 0.75 - band.low == pytest.approx(stats.norm.ppf(0.75) * math.sqrt(variance))


def test_what_cannot_be_estimated_is_refused_by_name():
    with pytest.raises(OneClassError):
        iv.delong([1, 1], [0.1, 0.2])
    with pytest.raises(OneClassError):
        iv.hanley_mcneil(0.5, 0, 3)
    with pytest.raises(OutOfRangeError):
        iv.hanley_mcneil(1.5, 3, 3)
    with pytest.raises(OutOfRangeError):
        iv.wilson(3, 2)
    with pytest.raises(OutOfRangeError):
        iv.delong([0, 0, 1, 1], [0.1, math.nan, 0.2, 0.3])
    for refused in (
        lambda: iv.wilson(0, 0),
        lambda: iv.mean_interval([1.0]),
        lambda: iv.block_difference([1.0, 2.0], ["a", "a"]),
        lambda: iv.block_difference([], []),
        lambda: iv.delong([0, 1, 1], [0.1, 0.2, 0.3]),
    ):
        with pytest.raises(TooFewError):
            refused()
    for refused in (
        lambda: iv.paired_difference([1.0], [1.0, 2.0]),
        lambda: iv.block_difference([1.0, 2.0], ["a"]),
        lambda: iv.delong([0, 1], [0.1, 0.2, 0.3]),
        lambda: calibration_in_the_large([0.5], [1, 0]),
        lambda: regret([0.5], [1, 0]),
    ):
        with pytest.raises(ShapesDifferError):
            refused()


def test_calibration_in_the_large_finds_a_moved_base_rate_and_no_other():
    rng = np.random.default_rng(4)
    p = rng.random(4_000)
    honest = calibration_in_the_large(p, rng.random(4_000) < p)
    moved = calibration_in_the_large(p, rng.random(4_000) < np.minimum(p + 0.1, 1))
    assert honest.low < 0 < honest.high
    assert moved.low > 0.05


def test_the_lower_bound_of_regret_is_one_sided():
    rng = np.random.default_rng(5)
    champion = rng.random(200)
    fresh = champion - rng.normal(0.02, 0.1, 200)
    expected = stats.ttest_1samp(champion - fresh, 0, alternative="greater").confidence_interval()
    assert lower_regret(champion, fresh) == pytest.approx(expected.low)
    days = np.repeat(np.arange(20), 10)
    by_day = regret(champion, fresh, days, confidence=0.9)
    assert by_day.low == pytest.approx(iv.block_difference(champion - fresh, days, 0.8).low)
    with pytest.raises(OutOfRangeError):
        regret(champion, fresh, confidence=0.5)


@given(st.floats(-1, 1), st.floats(0, 1e6), st.floats(0, 10), st.floats(0, 1e4))
def test_a_retraining_pays_only_for_a_sure_gain_and_never_less_at_more_volume(
    low, volume, value, cost
):
    if low <= 0:
        assert not pays(low, volume, value, cost)
    if pays(low, volume, value, cost):
        assert pays(low, 2 * volume, value, cost)
        assert pays(low, volume, value, cost / 2)
    with pytest.raises(OutOfRangeError):
        pays(low, -1.0, value, cost)


def test_a_retraining_pays_by_hand():
    assert pays(0.02, 1_000, 0.5, 9.99)
    assert not pays(0.02, 1_000, 0.5, 10.01)
