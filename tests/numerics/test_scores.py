"""Losses and metrics: hand cases, bounds, scikit-learn as the oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from sklearn import metrics

from mainspring.numerics import scores as s
from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)

SHARE = st.floats(0, 1, width=16)


@st.composite
def binary(draw):
    rows = draw(st.integers(1, 60))
    target = draw(npst.arrays(np.int64, rows, elements=st.integers(0, 1)))
    return draw(npst.arrays(np.float64, rows, elements=SHARE)), target


@st.composite
def multiclass(draw):
    rows, classes = draw(st.integers(1, 40)), draw(st.integers(2, 5))
    raw = draw(npst.arrays(np.float64, (rows, classes), elements=st.floats(0.01, 1)))
    target = draw(npst.arrays(np.int64, rows, elements=st.integers(0, classes - 1)))
    return raw / raw.sum(axis=1, keepdims=True), target


@st.composite
def regression(draw):
    rows = draw(st.integers(1, 60))
    values = npst.arrays(np.float64, rows, elements=st.floats(-100, 100, width=32))
    return draw(values), draw(values)


def test_row_losses_by_hand():
    assert s.row_losses("binary", [[0.25], [1.0]], [0, 0]).tolist() == [0.0625, 1.0]
    losses = s.row_losses("multiclass", [[0.5, 0.25, 0.25], [0, 0, 1]], [0, 1])
    assert losses.tolist() == [(0.25 + 0.0625 + 0.0625) / 2, 1.0]
    assert s.row_losses("regression", [1.0, 5.0], [2.0, -5.0], scale=4).tolist() == [0.0625, 1]


@given(st.one_of(*[st.tuples(st.just(f.__name__), f()) for f in (binary, multiclass, regression)]))
def test_every_loss_lies_between_zero_and_one_and_loss_is_their_mean(case):
    kind, (scores, target) = case
    losses = s.row_losses(kind, scores, target, scale=3.0)
    assert losses.shape == (len(target),)
    assert losses.min() >= 0
    assert losses.max() <= 1
    found = s.quality(kind, scores, target, scale=3.0)
    assert found["loss"] == pytest.approx(losses.mean())
    assert set(found) <= set(s.HIGHER_IS_BETTER)
    assert all(map(math.isfinite, found.values()))


@given(binary())
def test_two_class_probabilities_lose_as_much_as_one(case):
    p, target = case
    both = np.column_stack((1 - p, p))
    single, pair = s.row_losses("binary", p, target), s.row_losses("multiclass", both, target)
    assert single == pytest.approx(pair, abs=1e-12)


@given(binary())
def test_binary_quality_agrees_with_scikit_learn(case):
    p, target = case
    found = s.quality("binary", p, target)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(target, p, labels=[0, 1]))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(target, p >= 0.5))
    clipped = np.clip(p, s.CLIP, 1 - s.CLIP)
    expected = metrics.log_loss(target, np.column_stack((1 - clipped, clipped)), labels=[0, 1])
    # Where 1 - p is clipped its rounding shows: 34.5388 or 34.5396.
    assert found["log_loss"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    if len(set(target)) == 2:
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(target, p), abs=1e-12)
    else:
        assert "auc" not in found


@given(multiclass())
def test_multiclass_quality_agrees_with_scikit_learn(case):
    p, target = case
    labels = list(range(p.shape[1]))
    found = s.quality("multiclass", p, target)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(target, p, labels=labels))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(target, p.argmax(axis=1)))
    onehot = np.eye(p.shape[1])[target]
    assert found["brier"] == pytest.approx(((p - onehot) ** 2).sum(axis=1).mean() / 2)


@given(regression())
def test_regression_quality_agrees_with_scikit_learn(case):
    predicted, target = case
    found = s.quality("regression", predicted, target)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(target, predicted))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(target, predicted))
    if "r2" in found and np.ptp(target) > 1e-3:
        assert found["r2"] == pytest.approx(metrics.r2_score(target, predicted), rel=1e-6)


@given(binary(), st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 7]))
def test_auc_depends_on_the_order_of_scores_only_and_mirrors_with_it(case, stretch):
    p, target = case
    if len(set(target)) == 2 and len(np.unique(stretch(p))) == len(np.unique(p)):
        assert s.auc(stretch(p), target) == s.auc(p, target)
        assert s.auc(-p, target) == pytest.approx(1 - s.auc(p, target))


@given(npst.arrays(np.float64, st.integers(1, 50), elements=st.integers(0, 9).map(float)))
def test_midranks_agree_with_scipy(values):
    assert s.midranks(values).tolist() == stats.rankdata(values).tolist()


def test_a_certain_and_wrong_probability_costs_what_the_clip_says():
    assert s.log_loss("binary", [0.0], [1]) == pytest.approx(-math.log(1e-15))
    assert s.log_loss("multiclass", [[1.0, 0.0]], [1]) == pytest.approx(-math.log(1e-15))


def test_one_class_and_a_constant_target_are_named_or_left_out():
    with pytest.raises(OneClassError):
        s.auc([0.1, 0.2], [1, 1])
    with pytest.raises(TooFewError):
        s.r2([1.0, 2.0], [3.0, 3.0])
    assert "auc" not in s.quality("binary", [0.1], [1])
    assert "r2" not in s.quality("regression", [1.0, 2.0], [3.0, 3.0])


@pytest.mark.parametrize(
    ("kind", "scores", "target", "error"),
    [
        ("binary", [0.5, 0.5], [1], ShapesDifferError),
        ("binary", [[0.5, 0.5]], [1], ShapesDifferError),
        ("multiclass", [[0.5], [0.5]], [1, 0], ShapesDifferError),
        ("binary", [1.5], [1], OutOfRangeError),
        ("binary", [0.5], [2], OutOfRangeError),
        ("binary", [math.nan], [1], OutOfRangeError),
        ("multiclass", [[0.5, 0.5]], [2], OutOfRangeError),
        ("multiclass", [[0.5, 0.5]], [-1], OutOfRangeError),
        ("multiclass", [[0.5, 0.5]], [0.5], OutOfRangeError),
        ("regression", [1.0], [math.inf], OutOfRangeError),
        ("binary", [], [], TooFewError),
    ],
)
def test_rows_that_make_no_sense_are_refused(kind, scores, target, error):
    with pytest.raises(error):
        s.quality(kind, scores, target)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_no_tolerable_error_is_refused(scale):
    with pytest.raises(OutOfRangeError):
        s.row_losses("regression", [1.0], [1.0], scale)


def test_auc_refuses_scores_that_are_missing_or_too_many():
    with pytest.raises(OutOfRangeError):
        s.auc([math.nan, 0.5], [0, 1])
    with pytest.raises(ShapesDifferError):
        s.auc([0.1, 0.2, 0.3], [0, 1])


def test_an_enormous_error_is_a_loss_of_one():
    assert s.row_losses("regression", [1e300], [-1e300], scale=1e-3).tolist() == [1.0]


def test_a_metric_of_no_row_is_refused():
    for metric in (s.log_loss, s.brier, s.accuracy):
        with pytest.raises(TooFewError):
            metric("binary", [], [])
    for metric in (s.mae, s.rmse, s.r2):
        with pytest.raises(TooFewError):
            metric([], [])


def test_brier_is_the_mean_row_loss():
    assert s.brier("binary", [0.5, 1.0], [1, 1]) == 0.125
