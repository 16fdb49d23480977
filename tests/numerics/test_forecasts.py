"""Forecasts: hand cases, scikit-learn as the judge, how often intervals hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error

from mainspring.numerics import forecasts as fc
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError

NUMBERS = npst.arrays(np.float64, 12, elements=st.floats(-100, 100, width=16))


def test_every_measure_by_hand():
    said, came = [12.0, 8.0, 5.0], [10.0, 10.0, 0.0]
    assert fc.wape(said, came).estimate == pytest.approx(9 / 20)
    assert fc.mape(said, came).estimate == pytest.approx(0.2)
    assert fc.mape(said, came).n == 2
    assert fc.smape(said, came).estimate == pytest.approx((4 / 22 + 4 / 18 + 2) / 3)
    assert fc.mase(said, came, [8.0, 12.0, 5.0]).estimate == pytest.approx(9 / 9)
    assert fc.coverage([9, 9, 1], [13, 10, 2], came).estimate == pytest.approx(2 / 3)
    # Widths 4, 1, 1; the third is missed by 1, at a fine of 2 / (1 - 0.8).
    found = fc.interval_score([9, 9, 1], [13, 10, 2], came, 0.8)
    assert found.estimate == pytest.approx((4 + 1 + 1 + 10) / 3)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_they_agree_with_scikit_learn(said, came, naive):
    came = came + 200  # away from 0, where shares of it are undefined
    mae = mean_absolute_error(came, said)
    assert fc.wape(said, came).estimate == pytest.approx(mae / came.mean())
    assert fc.mape(said, came).estimate == pytest.approx(
        mean_absolute_percentage_error(came, said)
    )
    assert fc.mase(said, came, naive).estimate == pytest.approx(
        mae / mean_absolute_error(came, naive)
    )


@given(NUMBERS, NUMBERS)
def test_a_shared_error_is_symmetric_and_zero_on_equals(said, came):
    assert fc.smape(said, came).estimate == pytest.approx(fc.smape(came, said).estimate)
    assert fc.smape(said, said).estimate == 0
    assert 0 <= fc.smape(said, came).estimate <= 2


def test_the_interval_of_a_ratio_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        came = rng.gamma(4, 10, 200)
        said = came + rng.normal(0, 8, 200)
        band = fc.wape(said, came)
        held += band.low <= 8 * np.sqrt(2 / np.pi) / 40 <= band.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_is_not_defined_is_refused():
    with pytest.raises(OutOfRangeError):
        fc.wape([1, 2], [0, 0])
    with pytest.raises(TooFewError):
        fc.mape([1, 2], [0, 3])
    with pytest.raises(TooFewError):
        fc.wape([1], [1])
    with pytest.raises(TooFewError):
        fc.coverage([], [], [])
    with pytest.raises(ShapesDifferError):
        fc.wape([1, 2, 3], [1, 2])
    with pytest.raises(OutOfRangeError):
        fc.smape([np.nan, 1], [1, 1])
    with pytest.raises(OutOfRangeError):
        fc.mase([1, 2], [1, 1], [1, 1])
    with pytest.raises(OutOfRangeError):
        fc.interval_score([1], [2], [1], 1.0)
