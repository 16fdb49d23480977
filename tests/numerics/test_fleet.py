"""e-BH: by hand, by brute force, and (soak) that it keeps its share where evidence depends."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.fleet import e_bh
from mainspring.numerics.sequential import Wealth, update, value

values = st.lists(st.floats(0, 1e6), max_size=8)


def test_by_hand():
    # k = 4, fdr = 0.1: the m-th largest must reach 4 / (m * 0.1) = 40, 20, 13.3, 10.
    assert e_bh([40, 0, 0, 0], 0.1).tolist() == [True, False, False, False]
    assert e_bh([39.9, 0, 0, 0], 0.1).tolist() == [False] * 4
    assert e_bh([39.9, 0, 20, 0], 0.1).tolist() == [True, False, True, False]
    # The fourth is enough for all four, though the second and third alone were not.
    assert e_bh([12, 10, 11, 10], 0.1).tolist() == [True] * 4
    assert e_bh([12, 9.9, 11, 10], 0.1).tolist() == [False] * 4


def test_one_alone_needs_one_over_its_level():
    assert e_bh([20.0], 0.05).tolist() == [True]
    assert e_bh([19.99], 0.05).tolist() == [False]
    assert e_bh([], 0.05).tolist() == []
    assert e_bh([np.inf, 0.0], 0.05).tolist() == [True, False]


@given(values, st.floats(0.01, 0.99))
def test_it_refutes_the_largest_set_that_speaks_for_itself(found, fdr):
    refuted = e_bh(found, fdr)
    # A set is compatible if each of it reaches k / (its size * fdr); the largest such one.
    largest = 0
    for size in range(1, len(found) + 1):
        chosen = sorted(found, reverse=True)[:size]
        if all(one * size * fdr >= len(found) for one in chosen):
            largest = size
    assert refuted.sum() == largest
    if largest:
        least = min(np.array(found)[refuted])
        assert all(one <= least for one in np.array(found)[~refuted])


@given(values.filter(len), st.floats(0.01, 0.99), st.integers(0, 7), st.floats(1, 100))
def test_more_evidence_for_one_never_takes_another_out(found, fdr, place, times):
    before = e_bh(found, fdr)
    more = list(found)
    more[place % len(found)] *= times
    assert (e_bh(more, fdr) | ~before).all()


@given(values, st.floats(0.01, 0.99), st.randoms(use_true_random=False))
def test_the_order_does_not_matter_where_none_are_equal(found, fdr, random):
    found = sorted(set(found))
    order = list(range(len(found)))
    random.shuffle(order)
    assert (e_bh([found[i] for i in order], fdr) == e_bh(found, fdr)[order]).all()


def test_it_is_never_bolder_than_each_test_alone():
    for found in itertools.product([0.5, 10.0, 25.0, 90.0], repeat=4):
        alone = np.array(found) >= 1 / 0.05
        assert not (e_bh(found, 0.05) & ~alone).any()


@pytest.mark.parametrize(("found", "fdr"), [([-1.0], 0.1), ([np.nan], 0.1), ([1], 0), ([1], 1)])
def test_what_is_no_evidence_is_refused(found, fdr):
    with pytest.raises(OutOfRangeError):
        e_bh(found, fdr)


def _fleet(rng, nulls, better, rows, shared):
    """Return the wealths of a fleet whose losses move together, at a time chosen to look best."""
    common = rng.random(rows)
    wealths = []
    for one in range(nulls + better):
        own = np.where(rng.random(rows) < shared, common, rng.random(rows))
        gained = np.where(own < 0.5, 1.0, -1.0) * 0.6
        lift = 0.25 if one >= nulls else 0.0
        gained = np.where(rng.random(rows) < lift, np.abs(gained), gained)
        wealths.append(gained)
    return wealths


@pytest.mark.soak
@pytest.mark.parametrize("shared", [0.0, 0.5, 0.95])
def test_the_share_of_wrong_promotions_holds_however_the_fleet_depends(shared):
    rng = np.random.default_rng(7)
    wrong = []
    for _ in range(1500):
        fleet = _fleet(rng, nulls=8, better=4, rows=600, shared=shared)
        state = [Wealth() for _ in fleet]
        refuted = np.zeros(len(fleet), dtype=bool)
        for start in range(0, 600, 60):  # looked at ten times; whoever stands out is promoted
            state = [update(w, d[start : start + 60]) for w, d in zip(state, fleet, strict=True)]
            found = e_bh([value(w) for w in state], 0.1)
            refuted |= found
        wrong.append(refuted[:8].sum() / max(refuted.sum(), 1))
    # 1,500 fleets: the mean of shares has a standard error of at most 0.013.
    assert np.mean(wrong) <= 0.1 + 0.03
