"""Expected bands and change points: hand-computed, lawful, and as rare as they should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from mainspring.numerics.bands import change_point, expected_band

SERIES = st.lists(st.floats(-100, 100).map(lambda v: round(v, 3)), min_size=8, max_size=40)


def test_the_band_is_the_median_and_its_scaled_deviation():
    values = np.random.default_rng(0).normal(size=30)
    found = expected_band(values, 3.0)
    spread = median_abs_deviation(values, scale="normal")
    wide = 3.0 * spread * np.sqrt(30 / 29) * np.sqrt(1 + np.pi / 2 / 30)
    assert found.middle == np.median(values)
    assert found.high - found.middle == pytest.approx(wide)
    assert found.middle - found.low == pytest.approx(wide)


@given(SERIES, st.floats(0.1, 10), st.sampled_from([0.5, 2.0, 4.0]), st.integers(-50, 50))
def test_moving_and_stretching_a_series_moves_and_stretches_its_band(values, k, scale, by):
    one, other = expected_band(values, k), expected_band(scale * np.array(values) + by, k)
    assert other.low == pytest.approx(scale * one.low + by, abs=1e-5)
    assert other.high == pytest.approx(scale * one.high + by, abs=1e-5)


@given(SERIES)
def test_a_wider_band_holds_a_narrower_one(values):
    narrow, wide = expected_band(values, 2.0), expected_band(values, 3.0)
    assert wide.low <= narrow.low <= narrow.middle <= narrow.high <= wide.high


def test_too_short_a_history_has_no_band_and_a_constant_one_expects_its_value():
    assert expected_band([1.0] * 7, 3.0) is None
    assert expected_band([1.0] * 14 + [np.nan] * 14, 3.0, season=7) is None
    flat = expected_band([5.0] * 20, 3.0)
    assert flat.low <= 5.0 <= flat.high < 5.001


def test_outliers_in_almost_half_of_the_history_leave_the_band_bounded():
    random = np.random.default_rng(1)
    values = random.normal(10, 1, 40)
    values[:15] = 1e6
    found = expected_band(random.permutation(values), 4.0)
    assert 0 < found.low < 10 < found.high < 30


@pytest.mark.parametrize("season", [1, 7])
def test_on_normal_noise_a_band_of_four_is_left_about_as_rarely_as_promised(season):
    random = np.random.default_rng(season)
    waves = np.tile(10 * np.arange(season), 200)[: 61 + season]
    left = 0
    for _ in range(3000):
        values = random.normal(size=61) + waves[:61]
        found = expected_band(values[:60], 4.0, season)
        left += not found.low <= values[60] <= found.high
    assert left / 3000 < (0.003 if season == 1 else 0.01)


def test_a_change_point_is_where_the_level_moved():
    random = np.random.default_rng(2)
    values = random.normal(size=40)
    values[25:] += 3
    place, score = change_point(values)
    assert abs(place - 25) <= 1
    assert score > 5
    values[30] = np.nan
    assert abs(change_point(values)[0] - 25) <= 1
    assert change_point(random.normal(size=40))[1] < 5
    assert change_point([1.0, 2.0, np.nan]) is None
    assert change_point([1.0] * 10)[1] == 0.0
