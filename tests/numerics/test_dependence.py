"""For how many independent rows rows count: known processes, laws, and cases by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.numerics.dependence import (
    LEAST_BLOCKS,
    Dependence,
    between_windows,
    block_sums,
    design_effects,
    pooled,
)
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError


def autoregressive(rows: int, phi: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=rows) * np.sqrt(1 - phi**2)
    found = np.empty(rows)
    last = rng.normal()
    for at in range(rows):
        last = phi * last + noise[at]
        found[at] = last
    return found


def test_independent_rows_count_for_themselves():
    effects = [
        design_effects([np.random.default_rng(seed).random(2000) < 0.3]).effects[LEAST_BLOCKS]
        for seed in range(200)
    ]
    assert np.mean(effects) == pytest.approx(1, abs=0.1)


def test_runs_of_ten_count_for_one_each():
    effects = []
    for seed in range(100):
        runs = np.random.default_rng(seed).random(800) < 0.3
        effects.append(design_effects([np.repeat(runs, 10)]).effects[LEAST_BLOCKS])
    assert np.mean(effects) == pytest.approx(10, rel=0.1)


def test_an_autoregressive_stream_has_the_effect_of_its_correlations():
    # Of a flag at the median of a normal AR(1): correlations 2/pi asin(phi^k) at lag k.
    phi = 0.8
    lags = 2 / np.pi * np.arcsin(phi ** np.arange(1, 200))
    wanted = 1 + 2 * lags.sum()
    effects = [
        design_effects([autoregressive(8000, phi, seed) < 0]).effects[LEAST_BLOCKS]
        for seed in range(40)
    ]
    assert np.mean(effects) == pytest.approx(wanted, rel=0.12)


def test_several_flags_are_averaged_by_their_variances():
    half = np.tile(np.repeat([True, False], 2), 16)  # p(1-p) = 1/4
    rare = np.zeros(64, dtype=bool)
    rare[0] = True
    one, other = (design_effects([flag]).effects[16] for flag in (half, rare))
    both = design_effects([half, rare]).effects[16]
    weights = [1 / 4, 1 / 64 * 63 / 64]
    assert both == pytest.approx(np.average([one, other], weights=weights))


def test_blocks_by_hand():
    # 16 blocks of 4 rows, half of them full: variance of means 8 * 8 / (16 * 15), share 1/2.
    flags = np.repeat([True, False] * 8, 4)
    assert design_effects([flags]).effects[16] == pytest.approx(4 * (64 / 240) / 0.25)


def test_what_cannot_be_measured_counts_as_independent():
    for flags in ([], [np.ones(31, dtype=bool)], [np.ones(500, dtype=bool)]):
        found = design_effects(flags)
        assert found == Dependence({})
        assert found.certain(0.001) == 1.0


def test_flags_of_different_rows_are_refused():
    with pytest.raises(ShapesDifferError, match="equal rows"):
        design_effects([np.ones(40, dtype=bool), np.ones(41, dtype=bool)])


def test_sums_of_many_rows_are_those_of_equal_blocks():
    sums, length = block_sums(np.ones(10_000, dtype=bool))
    assert (length, sums.size, set(sums)) == (3, 3333, {3.0})


def test_what_rests_on_few_blocks_is_raised_more():
    few, many = Dependence({16: 2.0}), Dependence({4096: 2.0})
    assert few.certain(1e-5) > many.certain(1e-5) > 2.0
    # (t / z)^2 with 15 degrees of freedom at 1e-5, two-sided: 6.5 / 4.417 squared, by scipy 1.17.
    assert few.certain(1e-5) == pytest.approx(2 * (6.5021 / 4.4172) ** 2, rel=1e-3)
    assert few.certain(1e-6) > few.certain(1e-3)


def test_windows_before_make_it_surer():
    one = Dependence({16: 2.0, 32: 2.0})
    assert pooled([one] * 30).certain(1e-5) < pooled([one] * 3).certain(1e-5) < one.certain(1e-5)


def test_runs_longer_than_a_block_can_hold_are_seen_beyond_it():
    # 20 rows a run, blocks of 31: by b = 31 and 15 about 15.7 and 11.1, so 20 beyond them.
    seen = pooled([Dependence({16: 15.7, 32: 11.4})] * 40)
    assert seen.certain(0.5) == pytest.approx(20, rel=0.02)


@settings(max_examples=50)
@given(st.lists(st.booleans(), min_size=32, max_size=300))
def test_an_effect_is_the_same_of_the_opposite_and_of_the_reverse(values):
    flags = np.array(values)
    there = design_effects([flags]).effects
    assert design_effects([~flags]).effects == pytest.approx(there)
    whole = flags[: flags.size // 16 * 16]
    longest = design_effects([whole]).effects.get(16)
    assert design_effects([whole[::-1]]).effects.get(16) == pytest.approx(longest)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=40), st.floats(-5, 5))
def test_windows_that_all_moved_alike_scatter_alike(values, shift):
    moved = [value + shift for value in values]
    assert between_windows(moved) == pytest.approx(between_windows(values), abs=1e-9)


def test_a_slow_drift_hardly_adds_to_the_scatter_between_windows():
    drifting = list(np.arange(60) / 60)
    assert between_windows(drifting) < 0.01 * np.var(drifting)


def test_too_few_windows_have_no_scatter():
    assert between_windows([1.0, 2.0]) is None
    assert between_windows([1.0, 2.0, 3.0], lag=2) is None
    with pytest.raises(OutOfRangeError, match="at least 1"):
        between_windows([1.0], lag=0)
