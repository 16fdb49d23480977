import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mainspring.numerics import sketches
from mainspring.numerics.errors import OutOfRangeError, TooFewError
from mainspring.numerics.sketches import QuantileSketch, add, merge

NUMBERS = arrays(
    np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)


def of(values):
    return add(QuantileSketch(), values)


def true_ranks(values, at):
    return np.searchsorted(np.sort(values), at, side="right") / len(values)


def worst(sketch, values):
    """How far any rank is off, just at the values and just below them."""
    at = np.concatenate((values, np.nextafter(values, -np.inf)))
    return np.abs(sketches.ranks(sketch, at) - true_ranks(values, at)).max()


STREAMS = {
    "normal": lambda r, n: r.normal(size=n),
    "heavy tails": lambda r, n: r.standard_cauchy(n),
    "sorted": lambda r, n: np.sort(r.random(n)),
    "half of it one value": lambda r, n: np.where(r.random(n) < 0.5, 0.0, r.normal(size=n)),
    "whole numbers": lambda r, n: r.integers(0, 50_000, n).astype(float),
    "far from zero": lambda r, n: 1.7e9 + 86_400 * r.random(n),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_rank_is_within_what_the_sketch_states_and_that_is_below_a_thousandth(name):
    values = STREAMS[name](np.random.default_rng(1), 250_000)
    live = of(values)
    kept = sketches.unpack(sketches.pack(live))
    assert worst(live, values) <= live.error + 1e-12
    assert worst(kept, values) <= kept.error + 1e-12
    assert kept.error <= 1e-3


def test_the_distance_of_two_sketches_is_that_of_scipy_within_their_errors():
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=200_000), rng.normal(0.05, 1.1, size=150_000)
    found = sketches.distance(of(one), of(two))
    assert found == pytest.approx(stats.ks_2samp(one, two).statistic, abs=1e-3)


def test_quantiles_are_those_of_numpy_where_all_values_are_kept():
    values = np.random.default_rng(3).integers(0, 900, 5_000).astype(float)
    at = np.linspace(0, 1, 33)
    wanted = np.quantile(values, at, method="inverted_cdf")
    assert of(values).error == 0
    assert sketches.quantiles(of(values), at).tolist() == wanted.tolist()


def test_daily_sketches_of_a_season_merge_in_any_order_and_stay_within_their_error():
    rng = np.random.default_rng(4)
    days = [rng.normal(day / 100, 1, size=rng.integers(3_000, 9_000)) for day in range(120)]
    whole = np.concatenate(days)
    packed = [sketches.pack(of(day)) for day in days]
    for order in (range(120), rng.permutation(120)):
        one_by_one = QuantileSketch()
        for day in order:
            one_by_one = merge([one_by_one, sketches.unpack(packed[day])])
        assert worst(one_by_one, whole) <= one_by_one.error <= 1e-3


def test_the_memory_stays_bounded_while_rows_come_in():
    rng, sketch, seen = np.random.default_rng(5), QuantileSketch(), []
    for _ in range(24):
        sketch = add(sketch, rng.normal(size=sketches.BLOCK))
        seen.append(sketch.nbytes)
    assert max(seen) <= 2 * 16 * sketches.FAN_IN * sketches.CAPACITY
    assert sketch.rows == 24 * sketches.BLOCK


def test_a_billion_rows_would_state_less_than_a_thousandth():
    """Ten runs of one level are joined three times; each join states half a step at most."""
    levels = np.ceil(np.log(1e9 / sketches.BLOCK) / np.log(sketches.FAN_IN)) + 1
    assert levels / (2 * sketches.CAPACITY) + 1 / (2 * sketches.KEPT) <= 1e-3


@given(NUMBERS, NUMBERS)
def test_the_distance_is_symmetric_and_zero_on_equals(one, two):
    a, b = of(one), of(two)
    assert sketches.distance(a, b) == sketches.distance(b, a)
    assert sketches.distance(a, a) == 0


@given(NUMBERS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_count(values, random):
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert sketches.pack(of(values)) == sketches.pack(of(shuffled))


@given(NUMBERS, NUMBERS)
def test_a_merged_sketch_is_that_of_both(one, two):
    both = merge([of(one), of(two)])
    whole = of(np.concatenate((one, two)))
    at = np.concatenate((one, two))
    assert np.allclose(sketches.ranks(both, at), sketches.ranks(whole, at), atol=both.error + 1e-9)
    assert both.rows == whole.rows


@given(NUMBERS, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_quantiles_rise_with_their_probability(values, probabilities):
    low, high = sketches.quantiles(of(values), sorted(probabilities))
    assert low <= high


@given(NUMBERS, NUMBERS)
def test_counts_of_cells_sum_to_the_rows(values, edges):
    edges = np.unique(edges)
    counts = sketches.cells(of(values), edges)
    assert counts.sum() == values.size
    below = np.searchsorted(np.sort(values), edges, side="right")
    assert np.cumsum(counts)[:-1].tolist() == below.tolist()


def test_missing_values_are_left_out_and_infinities_are_values():
    sketch = of([np.nan, -np.inf, 1.0, np.inf])
    assert sketch.rows == 3
    assert sketches.ranks(sketch, [0.0, 1.0]).tolist() == [1 / 3, 2 / 3]


def test_an_empty_sketch_has_no_ranks_and_can_be_merged_and_kept():
    empty = of([])
    with pytest.raises(TooFewError):
        sketches.ranks(empty, [0.0])
    assert sketches.unpack(sketches.pack(empty)).rows == 0
    assert merge([empty, of([1.0])]).rows == 1
    assert sketches.cells(empty, [0.0, 1.0]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x09" + bytes(20), bytes(40)])
def test_bytes_that_are_no_sketch_are_refused(data):
    if data == bytes(40):
        data = sketches.pack(of([1.0, 2.0]))[:-14]
    with pytest.raises(OutOfRangeError):
        sketches.unpack(data)


def test_a_probability_outside_of_zero_and_one_is_refused():
    with pytest.raises(OutOfRangeError):
        sketches.quantile(of([1.0]), 1.5)
