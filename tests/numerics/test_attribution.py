"""The ranking of what a model listens to: the published example, an oracle, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mainspring.numerics.attribution import ndcg
from mainspring.numerics.errors import OutOfRangeError, TooFewError

# SageMaker Developer Guide, "Monitor Feature Attribution Drift", college admission (0.69 there).
TRAINING = {"SAT score": 0.70, "GPA": 0.50, "class rank": 0.05}
LIVE = {"SAT score": 0.10, "GPA": 0.20, "class rank": 0.70}

WORTH = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 10, width=16), min_size=2)


def test_the_published_example():
    assert ndcg(TRAINING, LIVE) == pytest.approx(0.6877, abs=1e-4)
    by_hand = (0.05 + 0.5 / np.log2(3) + 0.7 / 2) / (0.7 + 0.5 / np.log2(3) + 0.05 / 2)
    assert ndcg(TRAINING, LIVE) == pytest.approx(by_hand)


@given(st.lists(st.floats(0.5, 10), min_size=2, max_size=12, unique=True), st.randoms())
def test_it_agrees_with_scikit_learn(values, order):
    live = list(range(1, len(values) + 1))
    order.shuffle(live)
    names = [f"c{place}" for place in range(len(values))]
    found = ndcg(dict(zip(names, values, strict=True)), dict(zip(names, live, strict=True)))
    assert found == pytest.approx(ndcg_score([values], [live]))


@given(WORTH)
def test_the_same_ranking_is_one_however_large_the_figures(worth):
    assert ndcg(worth, {name: value * 7 for name, value in worth.items()}) == pytest.approx(1.0)


@given(WORTH, WORTH)
def test_it_lies_between_nothing_and_one(training, live):
    assert 0.0 <= ndcg(training, live) <= 1.0 + 1e-12


def test_a_tie_is_not_held_against_the_model():
    assert ndcg(TRAINING, dict.fromkeys(TRAINING, 0.2)) == 1.0


def test_one_column_of_nearly_all_the_weight_hides_the_rest():
    training = {"one": 0.94, "b": 0.03, "c": 0.02, "d": 0.01}
    live = {"one": 0.94, "b": 0.0, "c": 0.01, "d": 0.05}
    assert ndcg(training, live) > 0.98


def test_nothing_and_nonsense_are_refused():
    with pytest.raises(TooFewError):
        ndcg({}, {"a": 1.0})
    with pytest.raises(OutOfRangeError):
        ndcg({"a": -0.1}, {"a": 1.0})
    assert ndcg({"a": 0.0}, {"a": 1.0}) == 1.0
