"""Does A beat B: hand cases, laws, scipy beside it, and false alarms counted."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from mainspring.numerics import versus as vs
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError

ELEMENTS = st.integers(-1000, 1000).map(lambda whole: whole / 64)
PAIRS = st.integers(2, 9).flatmap(
    lambda n: st.tuples(*[npst.arrays(np.float64, n, elements=ELEMENTS)] * 2)
)


@given(PAIRS)
@settings(max_examples=40)
def test_the_paired_test_agrees_with_scipy(pair):
    first, second = pair
    found = vs.paired(first, second)
    if np.ptp(first - second) == 0:
        assert found.p in (0.0, 1.0)
        assert found.low == found.high == found.difference
        return
    theirs = stats.ttest_rel(first, second)
    band = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-10)
    assert (found.low, found.high) == pytest.approx((band.low, band.high), abs=1e-7)


@given(PAIRS)
@settings(max_examples=40)
def test_welchs_test_agrees_with_scipy(pair):
    first, second = pair[0], pair[1][: max(2, pair[1].size // 2)]
    found = vs.welch(first, second)
    if np.ptp(first) == np.ptp(second) == 0:
        assert found.p in (0.0, 1.0)
        return
    # scipy warns of a sample without any scatter, though its answer stands.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = stats.ttest_ind(first, second, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-10)
    assert found.degrees == pytest.approx(theirs.df)


@given(PAIRS)
@settings(max_examples=30)
def test_the_exact_test_agrees_with_scipys_permutations(pair):
    first, second = pair
    found, least = vs.signs(first - second)
    theirs = stats.permutation_test(
        (first - second,), np.mean, permutation_type="samples", n_resamples=math.inf
    )
    assert found == pytest.approx(min(theirs.pvalue, 1.0))
    assert found >= least


@given(PAIRS)
@settings(max_examples=40)
def test_the_sides_can_be_swapped(pair):
    for test in (vs.paired, vs.welch):
        there, back = test(*pair), test(*pair[::-1])
        assert there.difference == pytest.approx(-back.difference)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
        assert (there.p, there.needed) == (pytest.approx(back.p), back.needed)
        assert there.exact_p == back.exact_p


@given(PAIRS, st.floats(0.01, 100))
@settings(max_examples=40)
def test_the_unit_does_not_matter(pair, unit):
    plain, scaled = vs.paired(*pair), vs.paired(pair[0] * unit, pair[1] * unit)
    assert scaled.difference == pytest.approx(plain.difference * unit)
    if plain.error > 1e-9:
        assert scaled.p == pytest.approx(plain.p, abs=1e-6)
        assert scaled.detectable == pytest.approx(plain.detectable * unit, rel=1e-6)


def test_a_paired_verdict_by_hand():
    # Gaps 2, 2, 1: mean 5/3, sd 0.57735, error 1/3, t = 5 with 2 degrees.
    found = vs.paired([3.0, 4.0, 5.0], [1.0, 2.0, 4.0])
    assert found.error == pytest.approx(1 / 3)
    assert found.p == pytest.approx(2 * stats.t.sf(5, 2))
    # All three gaps point one way: of 8 patterns only this one and its mirror reach that far.
    assert (found.exact_p, found.exact_least) == (0.25, 0.25)


@pytest.mark.parametrize("degrees", [1, 2, 9.4, 60])
def test_power_agrees_with_scipy_from_one_degree_on(degrees):
    critical = stats.t.ppf(0.975, degrees)
    for shift in (0.0, 0.7, 3.0, 20.0):
        # The lower tail as the mirrored upper one: scipy's cdf is NaN far out.
        theirs = stats.nct.sf(critical, degrees, shift) + stats.nct.sf(critical, degrees, -shift)
        assert vs.power_of(shift * 0.5, 0.5, degrees) == pytest.approx(theirs, abs=1e-8)


@given(st.integers(1, 60), st.floats(0.001, 1000))
@settings(max_examples=30)
def test_the_detectable_difference_is_found_with_the_power_asked_for(degrees, error):
    smallest = vs.detectable(error, degrees)
    assert vs.power_of(smallest, error, degrees) == pytest.approx(0.8, abs=1e-6)
    assert vs.power_of(smallest / 2, error, degrees) < 0.8


@given(st.floats(0.1, 3), st.booleans())
@settings(max_examples=30)
def test_the_repeats_needed_are_the_fewest_that_suffice(effect, pairs):
    needed = vs._needed(effect, 1.0, 0.95, 0.8, pairs=pairs)

    def power(n):
        each = 1 if pairs else 2
        return vs.power_of(effect, math.sqrt(each / n), each * (n - 1))

    assert power(needed) >= 0.8
    assert needed == 2 or power(needed - 1) < 0.8


def test_known_sample_sizes_come_out():
    # Cohen's tables: d = 0.5 at 5 % and 80 % needs 64 of each, or 34 pairs.
    assert vs._needed(0.5, 1.0, 0.95, 0.8, pairs=False) == 64
    assert vs._needed(0.5, 1.0, 0.95, 0.8, pairs=True) == 34
    assert vs._needed(1e-6, 1.0, 0.95, 0.8, pairs=True) is None
    assert vs._needed(0.0, 1.0, 0.95, 0.8, pairs=True) is None


def test_without_a_difference_exact_false_alarms_are_as_rare_as_promised():
    # The p of the two t tests are scipy's, as shown above; this one holds for any scatter.
    rng = np.random.default_rng(11)
    alarms = np.mean([vs.signs(rng.standard_cauchy(8))[0] < 0.05 for _ in range(2_000)])
    assert 0.025 < alarms < 0.06


def test_pairing_finds_what_the_seeds_hide():
    rng = np.random.default_rng(12)
    seed_effect = rng.normal(size=8) * 10
    first = seed_effect + 1 + rng.normal(size=8) * 0.3
    second = seed_effect + rng.normal(size=8) * 0.3
    assert vs.paired(first, second).p < 0.001
    assert vs.welch(first, second).p > 0.5


def test_what_cannot_be_compared_is_refused_by_name():
    with pytest.raises(ShapesDifferError):
        vs.paired([1.0, 2.0], [1.0])
    for refused in (
        lambda: vs.paired([1.0], [2.0]),
        lambda: vs.welch([1.0, 2.0], [1.0]),
        lambda: vs.signs([]),
    ):
        with pytest.raises(TooFewError):
            refused()
    for refused in (
        lambda: vs.paired([1.0, math.nan], [1.0, 2.0]),
        lambda: vs.signs([1.0] * 21),
        lambda: vs.power_of(1.0, 0.0, 3),
        lambda: vs.welch([1.0, 2.0], [1.0, 2.0], confidence=1.5),
    ):
        with pytest.raises(OutOfRangeError):
            refused()
