"""Rankings: hand cases, scikit-learn as the judge, and laws of order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.ranking import ranking

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0, 1, width=16), st.integers(0, 3)),
    min_size=1,
    max_size=40,
).filter(lambda rows: any(gain for _, _, gain in rows))


def columns(rows):
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_two_queries_by_hand():
    found = ranking(["a", "a", "a", "b", "b", "c"], [3, 2, 1, 2, 1, 5], [1, 0, 1, 0, 2, 0], k=2)
    assert (found.queries, found.empty, found.rows) == (2, 1, 5)
    third = 1 / np.log2(3)
    assert found.ndcg.tolist() == pytest.approx([1 / (1 + third), third])
    assert found.average_precision.tolist() == pytest.approx([(1 + 2 / 3) / 2, 1 / 2])
    assert found.reciprocal_rank.tolist() == [1, 0.5]
    assert found.precision.tolist() == [0.5, 0.5]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_it_agrees_with_scikit_learn_where_no_scores_are_equal(seed, k):
    rng = np.random.default_rng(seed)
    scores, gains = rng.random(20), rng.integers(0, 4, 20)
    gains[0] = 1
    found = ranking(np.zeros(20), scores, gains, k)
    assert found.ndcg[0] == pytest.approx(ndcg_score([gains], [scores], k=k))
    expected = average_precision_score(gains > 0, scores)
    assert found.average_precision[0] == pytest.approx(expected)


@given(ROWS, st.randoms(), st.integers(1, 5))
def test_the_order_of_rows_and_a_rising_change_of_scores_change_nothing(rows, random, k):
    queries, scores, gains = columns(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = ranking(queries, scores, gains, k), ranking(*columns(shuffled), k)
    third = ranking(queries, np.round(scores * 64) * 3 + 7, gains, k)
    for name in ("ndcg", "average_precision", "reciprocal_rank", "precision"):
        assert getattr(first, name) == pytest.approx(getattr(second, name))
    if np.unique(np.round(scores * 64)).size == np.unique(scores).size:
        assert first.ndcg == pytest.approx(third.ndcg)


@given(ROWS, st.integers(1, 5))
def test_measures_lie_between_0_and_1_and_the_best_order_has_1(rows, k):
    queries, scores, gains = columns(rows)
    for found in (ranking(queries, scores, gains, k), ranking(queries, gains, gains, k)):
        for name in ("ndcg", "average_precision", "reciprocal_rank", "precision"):
            values = getattr(found, name)
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-12
    assert ranking(queries, gains, gains, k).ndcg == pytest.approx(1)
    assert ranking(queries, gains, gains, k).reciprocal_rank == pytest.approx(1)


def test_a_model_gains_nothing_by_saying_the_same_of_all():
    assert ranking(["q"] * 4, [1, 1, 1, 1], [1, 0, 0, 0], k=4).reciprocal_rank.tolist() == [0.25]


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(TooFewError):
        ranking([], [], [])
    with pytest.raises(TooFewError):
        ranking(["a"], [1], [0])
    with pytest.raises(ShapesDifferError):
        ranking(["a"], [1, 2], [0, 1])
    with pytest.raises(OutOfRangeError):
        ranking(["a"], [1], [1], k=0)
    with pytest.raises(OutOfRangeError):
        ranking(["a"], [np.nan], [1])
    with pytest.raises(OutOfRangeError):
        ranking(["a"], [1], [-1])
