"""Calibration: hand cases, scikit-learn as the judge, and what must hold whatever the rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mainspring.numerics import calibration as cal
from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)

CHANCES = npst.arrays(np.float64, st.integers(2, 80), elements=st.floats(0, 1, width=16))


def drawn(count: int, seed: int, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and targets that come by a power of them."""
    rng = np.random.default_rng(seed)
    said = rng.beta(2, 3, count)
    return said, (rng.random(count) < said**power).astype(float)


@given(CHANCES, st.integers(0, 2**32 - 1))
def test_a_rising_function_is_that_of_scikit_learn(scores, seed):
    target = np.random.default_rng(seed).random(scores.size).round(1)
    asked = np.linspace(-0.1, 1.1, 60)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, target).predict(asked)
    assert cal.isotonic(scores, target).at(asked) == pytest.approx(expected, abs=1e-9)


@given(CHANCES, st.randoms())
def test_a_rising_function_rises_and_does_not_know_the_order_of_rows(scores, random):
    target = (scores > 0.4).astype(float)
    target[::3] = 0
    order = list(range(scores.size))
    random.shuffle(order)
    found, again = cal.isotonic(scores, target), cal.isotonic(scores[order], target[order])
    assert (np.diff(found.y) >= -1e-12).all()
    assert again.at(scores) == pytest.approx(found.at(scores))


def test_a_line_is_the_logistic_regression_of_scikit_learn():
    said, came = drawn(4000, 3, power=2)
    logit = np.log(said / (1 - said))[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(logit, came)
    line = cal.platt(said, came)
    assert line.slope == pytest.approx(expected.coef_[0, 0], abs=1e-5)
    assert line.intercept == pytest.approx(expected.intercept_[0], abs=1e-5)
    assert line.at(said) == pytest.approx(expected.predict_proba(logit)[:, 1], abs=1e-5)


def test_a_line_of_a_calibrated_model_has_0_and_1_in_its_intervals():
    inside = 0
    for seed in range(100):
        intercept, slope = cal.platt(*drawn(800, seed)).intervals()
        inside += intercept.low <= 0 <= intercept.high and slope.low <= 1 <= slope.high
    assert 82 <= inside <= 99


def test_a_line_needs_both_classes_that_cannot_be_told_apart():
    with pytest.raises(OneClassError):
        cal.platt([0.2, 0.3, 0.4], [0, 0, 0])
    with pytest.raises(TooFewError):
        cal.platt([0.2, 0.3], [0, 1])
    with pytest.raises(TooFewError):
        cal.platt([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    base_rate = cal.platt([0.5] * 4, [0, 1, 1, 1])
    assert base_rate.at([0.5]).tolist() == pytest.approx([0.75])


@given(CHANCES, st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_a_brier_score_is_the_sum_of_its_parts(said, seed, bins):
    came = (np.random.default_rng(seed).random(said.size) < said).astype(float)
    parts = cal.brier_parts(said, came, bins)
    again = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert again == pytest.approx(parts.brier)
    assert parts.reliability >= 0
    assert parts.resolution >= 0


@given(st.lists(st.sampled_from([0.1, 0.4, 0.8]), min_size=2, max_size=40), st.randoms())
def test_nothing_is_left_within_bins_of_one_probability(said, random):
    came = [float(random.random() < p) for p in said]
    assert cal.brier_parts(said, came, 1000).within == pytest.approx(0, abs=1e-12)


def test_bins_are_those_of_scikit_learn():
    said, came = drawn(3000, 5, power=2)
    rate, mean = calibration_curve(came, said, n_bins=10, strategy="quantile")
    found = cal.reliability(said, came, 10)
    assert [b.said for b in found] == pytest.approx(mean, abs=2e-3)
    assert [b.came for b in found] == pytest.approx(rate, abs=2e-2)
    assert sum(b.rows for b in found) == 3000


@given(CHANCES, st.integers(1, 30))
def test_every_row_is_in_one_bin_and_bins_go_up(said, bins):
    found = cal.reliability(said, np.zeros(said.size), bins)
    assert sum(b.rows for b in found) == said.size
    assert len(found) <= bins
    assert all(a.said < b.said for a, b in pairwise(found))


def test_an_error_of_a_calibrated_model_lies_inside_of_the_simulated_ones():
    within = 0
    for seed in range(60):
        said, came = drawn(1500, seed)
        chance = cal.ece_of_calibrated(said, seed=seed)
        within += cal.ece(said, came) <= chance[int(0.95 * chance.size)]
    assert within >= 51
    said, came = drawn(1500, 1, power=1.5)
    assert cal.ece(said, came) > cal.ece_of_calibrated(said).max()


def test_small_and_large_bins_are_simulated_alike():
    said, _ = drawn(3150, 2)
    exact = cal.ece_of_calibrated(said, bins=16, repeats=400)  # 197 rows: one by one
    normal = cal.ece_of_calibrated(said, bins=15, repeats=400)  # 210 rows: as normal numbers
    assert exact.mean() == pytest.approx(normal.mean(), rel=0.12)


def test_a_moved_base_rate_is_repaired_on_rows_it_was_not_fitted_on():
    rng = np.random.default_rng(4)
    said = rng.beta(2, 3, 6000)
    odds = said / (1 - said) * np.exp(0.8)
    came = (rng.random(6000) < odds / (1 + odds)).astype(float)
    found = cal.platt_repair(said, came)
    assert found.line.intercept == pytest.approx(0.8, abs=0.1)
    assert found.line.slope == pytest.approx(1, abs=0.1)
    assert found.gain.low > 0.01
    assert found.before - found.after == pytest.approx(found.gain.estimate)


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_a_calibrated_model_gains_next_to_nothing(seed):
    assert cal.platt_repair(*drawn(2000, seed)).gain.estimate < 0.002


def test_what_is_no_probability_is_refused():
    with pytest.raises(OutOfRangeError):
        cal.ece([1.2], [1])
    with pytest.raises(OutOfRangeError):
        cal.ece([0.2], [2])
    with pytest.raises(OutOfRangeError):
        cal.ece([np.nan], [1])
    with pytest.raises(OutOfRangeError):
        cal.ece([0.2], [1], bins=0)
    with pytest.raises(OutOfRangeError):
        cal.isotonic([np.nan], [1])
    with pytest.raises(ShapesDifferError):
        cal.ece([0.2], [1, 0])
    with pytest.raises(ShapesDifferError):
        cal.isotonic([0.2], [1, 0])
    with pytest.raises(TooFewError):
        cal.ece([], [])
    with pytest.raises(TooFewError):
        cal.isotonic([], [])


def test_the_interval_of_the_error_holds_that_of_a_calibrated_model_and_leaves_out_a_bad_one():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        said = rng.random(600)
        came = (rng.random(600) < said).astype(float)
        band = cal.ece_interval(said, came, confidence=0.95)
        assert band.low <= band.estimate <= band.high
        held += band.low <= 0.01  # a calibrated model's own error is 0
    assert held >= 54
    sure = np.where(rng.random(2000) < 0.5, 0.99, 0.01)
    came = (rng.random(2000) < 0.5 + 0.3 * np.sign(sure - 0.5)).astype(float)
    band = cal.ece_interval(sure, came)
    assert band.low < 0.19 < band.high  # |0.99 - 0.8|, on both sides
    assert band.low > 0.12
