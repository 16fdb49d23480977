"""A gain is told with an interval, all of them hold at once, and what is alike is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from mainspring.numerics.ablation import clusters, gains, stretches
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError


def test_a_gain_is_the_rise_of_the_mean_loss_and_its_interval_that_of_a_t_test():
    rng = np.random.default_rng(0)
    full, without = rng.random(40), rng.random(40)
    found = gains(full, {"a": without}, np.arange(40), margin=0.1)["a"]
    expected = ttest_1samp(without - full, 0).confidence_interval(0.95)
    assert found.gain == pytest.approx((without - full).mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_intervals_widen_with_the_number_of_inputs_that_are_tried():
    rng = np.random.default_rng(1)
    full = rng.random(60)
    gone = {str(n): full + rng.normal(0, 0.1, 60) for n in range(20)}
    alone = gains(full, {"0": gone["0"]}, np.arange(60), 0.0)["0"]
    among = gains(full, gone, np.arange(60), 0.0)["0"]
    assert among.gain == alone.gain
    assert among.low < alone.low < alone.high < among.high


def test_of_inputs_of_no_worth_hardly_any_is_ever_called_useful():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(80):
        full = rng.random(200)
        gone = {str(n): full + rng.normal(0, 0.2, 200) for n in range(10)}
        found = gains(full, gone, np.arange(200), 0.01)
        wrong += any(one.worth in ("useful", "epsilon") for one in found.values())
    assert wrong <= 6  # 2.5 % are expected above 0: 2 of 80


@pytest.mark.parametrize(
    ("mean", "noise", "worth"),
    [
        (0.5, 0.01, "useful"),
        (0.02, 0.001, "epsilon"),
        (0.0, 0.001, "useless"),
        (0.0, 0.9, "unproven"),
        (-0.5, 0.01, "harmful"),
        (0.0, 0.0, "useless"),
    ],
)
def test_a_worth_is_named_by_where_its_interval_lies(mean, noise, worth):
    swing = noise * np.resize([1.0, -1.0], 100)
    found = gains(np.zeros(100), {"a": mean + swing}, np.arange(100), margin=0.05)["a"]
    assert found.worth == worth
    assert found.shown == (worth in ("useful", "epsilon"))


@given(st.integers(1, 500))
def test_stretches_are_equal_and_in_order(rows):
    blocks = stretches(rows)
    sizes = np.bincount(blocks)
    assert blocks.size == rows
    assert (np.diff(blocks) >= 0).all()
    assert sizes.size <= 50
    assert sizes.max() - sizes.min() <= 1


def test_what_moves_together_either_way_is_one_group():
    rng = np.random.default_rng(3)
    a, c = rng.normal(size=300), rng.normal(size=300)
    table = np.column_stack([c, a, -a + 0.01 * rng.normal(size=300), rng.normal(size=300)])
    assert clusters(table, ["c", "a", "minus", "d"]) == [["a", "minus"]]
    assert clusters(table[:, :1], ["c"]) == []


def test_columns_without_scatter_or_without_values_stand_for_nothing():
    table = np.column_stack([np.ones(9), np.ones(9), np.full(9, np.nan)])
    assert clusters(table, ["a", "b", "c"]) == []


def test_odd_figures_are_refused():
    with pytest.raises(ShapesDifferError):
        gains([0.1, 0.2], {"a": [0.1]}, [0, 1], 0.0)
    with pytest.raises(TooFewError):
        gains([0.1, 0.2], {"a": [0.1, 0.1]}, [0, 0], 0.0)
    with pytest.raises(OutOfRangeError):
        gains([0.1, 0.2], {"a": [0.1, 0.1]}, [0, 1], -1.0)
    with pytest.raises(OutOfRangeError):
        gains([0.1, 0.2], {"a": [0.1, 0.1]}, [0, 1], 0.0, confidence=1.0)
    with pytest.raises(ShapesDifferError):
        clusters(np.zeros((4, 2)), ["a"])
