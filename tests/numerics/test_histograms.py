"""Histograms: nothing falls outside, merging is counting, distances of counts are bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from mainspring.numerics.distances import ks_from_counts, ks_from_samples
from mainspring.numerics.errors import BinsDifferError, TooFewError
from mainspring.numerics.histograms import (
    MOST_EDGES,
    coarsen,
    count_values,
    equal_share_cuts,
    ks_error_bound,
    quantile_edges,
    reference_edges,
)

ANY = npst.arrays(np.float64, st.integers(1, 200), elements=st.floats(width=32))
FEW = npst.arrays(np.float64, st.integers(1, 200), elements=st.integers(-20, 20).map(float))


def test_cells_are_closed_on_the_right_by_hand():
    histogram = count_values(np.array([0.0, 1.0]), [-5, 0, 0.1, 1, 2, np.nan, np.inf])
    assert histogram.counts.tolist() == [2, 2, 2]
    assert (histogram.missing, histogram.present) == (1, 6)


@given(ANY, ANY)
def test_counting_agrees_with_a_plain_search(reference, values):
    reference = np.append(reference, 0.0)
    edges = reference_edges(reference)
    histogram = count_values(edges, values)
    seen = values[~np.isnan(values)]
    expected = np.bincount(np.searchsorted(edges, seen, side="left"), minlength=edges.size + 1)
    assert histogram.counts.tolist() == expected.tolist()
    assert histogram.present + histogram.missing == values.size


def test_values_beyond_one_block_are_counted_the_same():
    rng = np.random.default_rng(3)
    values = np.where(rng.random(40_001) < 0.1, np.nan, rng.normal(size=40_001))
    edges = np.array([-1.0, 0.0, 1.0])
    histogram = count_values(edges, values)
    cells = np.searchsorted(edges, values[~np.isnan(values)], side="left")
    assert histogram.counts.tolist() == np.bincount(cells, minlength=4).tolist()
    assert histogram.missing == np.isnan(values).sum()


@given(ANY, ANY, ANY)
def test_merging_is_counting_together(reference, first, second):
    edges = reference_edges(np.append(reference, 0.0))
    both = count_values(edges, np.concatenate((first, second)))
    merged = count_values(edges, first).merge(count_values(edges, second))
    assert merged.counts.tolist() == both.counts.tolist()
    assert merged.missing == both.missing


@given(ANY)
def test_edges_ascend_and_are_no_more_than_asked(sample):
    sample = np.append(sample, 1.0)
    edges = reference_edges(sample, most=16)
    assert 1 <= edges.size <= 18
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(edges).all()


@given(FEW, FEW)
def test_with_few_distinct_values_the_distance_of_counts_is_exact(reference, current):
    edges = reference_edges(reference)
    counted = ks_from_counts(
        count_values(edges, reference).counts, count_values(edges, current).counts
    )
    exact = ks_from_samples(reference, current)
    # Values the reference never had share the gaps between its values.
    fresh = 1 - np.isin(current, reference).mean()
    assert exact - fresh - 1e-12 <= counted <= exact + 1e-12
    if fresh == 0:
        assert counted == pytest.approx(exact)


@given(ANY, ANY)
def test_the_distance_of_counts_is_below_the_exact_one_by_no_more_than_the_bound(one, two):
    one, two = np.append(one, 0.0), np.append(two, 0.0)
    edges = reference_edges(one, most=8)
    first, second = count_values(edges, one).counts, count_values(edges, two).counts
    counted, exact = ks_from_counts(first, second), ks_from_samples(one, two)
    assert counted <= exact + 1e-12
    assert exact <= counted + ks_error_bound(first, second) + 1e-12


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential"])
def test_on_continuous_data_the_error_is_below_a_thousandth(draw, shift):
    rng = np.random.default_rng(4)
    reference, current = getattr(rng, draw)(size=100_000), getattr(rng, draw)(size=50_000) + shift
    edges = reference_edges(reference)
    first, second = count_values(edges, reference).counts, count_values(edges, current).counts
    exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert ks_from_counts(first, second) == pytest.approx(exact, abs=1e-3)
    assert ks_error_bound(first, second) < 1.1 / MOST_EDGES


def test_a_point_mass_in_continuous_data_has_a_cell_of_its_own():
    rng = np.random.default_rng(5)
    reference = np.where(rng.random(20_000) < 0.3, 0.0, rng.normal(size=20_000))
    current = np.where(rng.random(20_000) < 0.3, 1e-9, rng.normal(size=20_000))
    edges = reference_edges(reference)
    first, second = count_values(edges, reference).counts, count_values(edges, current).counts
    exact = ks_from_samples(reference, current)
    assert exact > 0.29
    assert ks_from_counts(first, second) == pytest.approx(exact, abs=2e-3)


def test_the_largest_cells_stay_small_whatever_repeats():
    rng = np.random.default_rng(6)
    sample = np.concatenate((rng.normal(size=5_000), rng.integers(0, 300, 5_000).astype(float)))
    counts = count_values(reference_edges(sample), sample).counts
    edges = reference_edges(sample)
    assert edges.size <= MOST_EDGES + 2
    assert counts.max() / counts.sum() <= 3 / MOST_EDGES


def test_counts_over_other_edges_are_not_merged():
    with pytest.raises(BinsDifferError):
        count_values(np.array([0.0]), [1]).merge(count_values(np.array([1.0]), [1]))


@pytest.mark.parametrize("sample", [[], [np.nan], [np.inf, -np.inf]])
def test_edges_without_a_finite_value_are_refused(sample):
    with pytest.raises(TooFewError):
        reference_edges(sample)


def test_quantiles_without_a_value_are_refused_and_ties_join():
    with pytest.raises(TooFewError):
        quantile_edges([np.nan])
    assert quantile_edges([1.0] * 50 + [2.0] * 50).tolist() == [1.0, 1.5, 2.0]


def test_deciles_of_a_histogram_hold_a_tenth_each():
    sample = np.random.default_rng(7).normal(size=50_000)
    edges = reference_edges(sample)
    counts = count_values(edges, sample).counts
    cuts = equal_share_cuts(counts)
    assert edges[cuts] == pytest.approx(quantile_edges(sample), abs=0.01)
    assert coarsen(counts, cuts) / 50_000 == pytest.approx(np.full(10, 0.1), abs=2e-3)


@given(npst.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 9)), st.integers(2, 12))
def test_coarse_cells_lose_no_row(counts, parts):
    cuts = equal_share_cuts(counts, parts)
    assert cuts.size <= parts - 1
    assert coarsen(counts, cuts).sum() == counts.sum()
