"""Whether a label is known because of the score: hand-computed cases, laws, and a known loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.selection import BUCKETS, label_selection


def test_labels_of_the_high_scores_alone_are_all_shaped() -> None:
    scores = np.arange(1000) / 1000
    found = label_selection(scores, scores >= 0.5)
    assert found.depends
    assert found.shaped.estimate == 1.0
    assert [rate.estimate for rate in found.rates] == [0.0] * 5 + [1.0] * 5
    assert found.edges[0] == (0.0, 0.099)


def test_the_share_is_that_beyond_the_rate_of_the_fewest() -> None:
    # 1,000 rows; 1 in 10 of the lower half is known, all of the upper: 550 labels, of which
    # 100 would be there at the rate of the lower half.
    groups = np.repeat([0, 1], 500)
    known = np.concatenate([np.arange(500) % 10 == 0, np.ones(500, bool)])
    found = label_selection(groups.astype(float), known, groups=groups)
    assert found.shaped.estimate == pytest.approx(1 - 0.1 * 1000 / 550)
    assert found.shaped.low < found.shaped.estimate < found.shaped.high
    assert found.spread.estimate == pytest.approx(0.9)


def test_a_random_share_that_is_declared_is_used() -> None:
    known = np.concatenate([np.arange(500) % 10 == 0, np.ones(500, bool)])
    found = label_selection(np.arange(1000.0), known, at_random=0.2)
    assert found.shaped.estimate == pytest.approx(1 - 0.2 * 1000 / 550)
    assert found.shaped.low == found.shaped.high


def test_the_difference_of_two_rates_is_newcombes() -> None:
    groups = np.repeat([0, 1], [50, 40])
    known = np.concatenate([np.arange(50) < 10, np.arange(40) < 30])
    found = label_selection(groups.astype(float), known, groups=groups)
    low = stats.binomtest(10, 50).proportion_ci(method="wilson")
    high = stats.binomtest(30, 40).proportion_ci(method="wilson")
    gap = 0.75 - 0.2
    assert found.spread.estimate == pytest.approx(gap)
    assert found.spread.low == pytest.approx(gap - np.hypot(0.75 - high.low, low.high - 0.2))
    assert found.spread.high == pytest.approx(gap + np.hypot(high.high - 0.75, 0.2 - low.low))


def test_labels_and_scores_that_both_change_with_time_are_not_taken_for_each_other() -> None:
    random = np.random.default_rng(3)
    time = np.repeat([0, 1], 2000)
    scores = np.where(time == 0, 0.2, 0.8) + random.normal(0, 0.05, 4000)
    known = random.random(4000) < np.where(time == 0, 0.3, 0.9)
    assert label_selection(scores, known).depends
    assert not label_selection(scores, known, time).depends


def test_labels_that_come_by_chance_raise_no_wrong_alarm_at_the_stated_rate() -> None:
    random = np.random.default_rng(5)
    wrong = sum(
        label_selection(random.random(400), random.random(400) < 0.4, material=0.0).depends
        for _ in range(300)
    )
    assert wrong <= stats.binom.ppf(0.999, 300, 0.05)


def test_the_share_of_a_known_loop_lies_between_its_ends() -> None:
    """A lender learns of whom it lends to, and of 1 in 20 of the others."""
    random = np.random.default_rng(11)
    inside = 0
    for _ in range(60):
        scores = random.random(3000)
        chance = np.where(scores >= 0.6, 1.0, 0.05)
        found = label_selection(scores, random.random(3000) < chance)
        truth = 1 - 0.05 / (0.4 + 0.6 * 0.05)
        assert found.depends
        inside += found.shaped.low <= truth <= found.shaped.high
    assert inside >= 55


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random) -> None:
    first = label_selection(*zip(*rows, strict=True))
    random.shuffle(rows)
    second = label_selection(*zip(*rows, strict=True))
    assert first == second
    assert len(first.rates) <= BUCKETS
    assert 0 <= first.shaped.low <= first.shaped.estimate <= first.shaped.high <= 1
    assert sum(rate.n for rate in first.rates) == len(rows)


def test_equal_scores_are_never_parted_and_say_nothing() -> None:
    found = label_selection([0.5] * 300, [True] * 150 + [False] * 150)
    assert len(found.rates) == 1
    assert not found.depends


def test_no_labels_at_all_shape_nothing() -> None:
    found = label_selection(np.arange(100.0), np.zeros(100, bool))
    assert (found.depends, found.shaped.estimate) == (False, 0.0)


@pytest.mark.parametrize(
    ("scores", "known", "more", "error"),
    [
        ([], [], {}, TooFewError),
        ([0.1], [True, False], {}, ShapesDifferError),
        ([float("nan")], [True], {}, OutOfRangeError),
        ([0.1], [True], {"at_random": 1.5}, OutOfRangeError),
        ([0.1], [True], {"blocks": [1, 2]}, ShapesDifferError),
        ([0.1], [True], {"groups": [1, 2]}, ShapesDifferError),
    ],
)
def test_what_cannot_be_asked_is_refused(scores, known, more, error) -> None:
    with pytest.raises(error):
        label_selection(scores, known, **more)
