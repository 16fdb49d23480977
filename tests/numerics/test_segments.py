"""Parts of the rows judged apart: by hand, and how often chance alone is taken for a finding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.segments import Column, judge, search


def test_a_part_has_the_students_interval_of_its_own_rows() -> None:
    rng = np.random.default_rng(0)
    losses, others = rng.random((2, 200))
    mask = np.arange(200) < 50
    found = judge(mask, losses, others, alpha=0.025)
    assert found is not None
    gap = (losses - others)[mask]
    low, high = stats.t.interval(0.95, 49, gap.mean(), stats.sem(gap))
    assert found.rows == 50
    assert found.difference is not None
    assert found.difference.low == pytest.approx(low)
    assert found.difference.high == pytest.approx(high)
    assert found.other == pytest.approx(others[mask].mean())
    assert not found.by_block


def test_days_of_a_part_count_once_each() -> None:
    rng = np.random.default_rng(1)
    days = np.repeat(np.arange(8), 25)
    losses = 0.3 + np.repeat(rng.normal(0, 0.05, 8), 25)
    mask = np.ones(200, np.bool_)
    by_row = judge(mask, losses, alpha=0.05)
    by_day = judge(mask, losses, blocks=days, alpha=0.05)
    assert by_row is not None
    assert by_day is not None
    assert by_day.by_block
    assert by_day.loss.low < by_row.loss.low


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_a_part_of_few_rows_is_not_judged(rows: int) -> None:
    assert judge(np.arange(100) < rows, np.zeros(100), alpha=0.05) is None


def test_unpaired_losses_are_refused() -> None:
    with pytest.raises(ShapesDifferError):
        judge(np.ones(40, np.bool_), np.ones(40), np.ones(50), alpha=0.05)


def _columns(rng: Any, rows: int) -> list[Column]:
    return [
        Column(tuple(f"{name}{at}" for at in range(4)), rng.integers(0, 4, rows))
        for name in "abcd"
    ]


def test_a_bad_pair_of_values_is_found_by_name() -> None:
    rng = np.random.default_rng(2)
    columns = _columns(rng, 4000)
    bad = (columns[0].codes == 1) & (columns[2].codes == 3)
    excess = rng.normal(-0.05, 0.1, 4000) + 0.3 * bad
    found, looked = search(excess, columns, np.arange(4000) % 2 == 0)
    assert found[0].name == "a1 & c3"
    assert looked == 4 * 4 + 6 * 16
    assert (found[0].judged == (bad & (np.arange(4000) % 2 == 1))).all()


def test_what_luck_picks_in_one_half_is_seldom_refused_in_the_other() -> None:
    refused = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        columns = _columns(rng, 1200)
        excess = rng.normal(0, 0.2, 1200)
        found, _ = search(excess, columns, np.arange(1200) % 2 == 0)
        sure = [judge(one.judged, excess, alpha=0.05 / len(found)) for one in found]
        refused += any(one is not None and one.loss.low > 0 for one in sure)
    assert refused <= 24  # 10 expected at 5 %; binomial, 4 standard deviations above


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_less_chance_of_error_is_a_wider_interval(seed: int, one: float, other: float) -> None:
    losses = np.random.default_rng(seed).random(60)
    mask = np.ones(60, np.bool_)
    small, large = (judge(mask, losses, alpha=alpha) for alpha in sorted((one, other)))
    assert small is not None
    assert large is not None
    assert small.loss.low <= large.loss.low
    assert small.loss.high >= large.loss.high


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_found_parts_are_apart_and_judged_on_rows_that_were_not_searched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = np.arange(600) % 2 == 0
    found, looked = search(rng.normal(0.1, 0.2, 600), _columns(rng, 600), first)
    assert len(found) <= min(5, looked)
    for place, one in enumerate(found):
        assert not (one.judged & first).any()
        assert (one.mask | ~one.judged).all()
        for other in found[:place]:
            assert 2 * (one.mask & other.mask).sum() < one.mask.sum()
