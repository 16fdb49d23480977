"""Models so simple that a real one has to beat them: against scikit-learn, by hand and by law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.simple import constant, linear, tree


def _rows(seed: int = 0, n: int = 300) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 5, 2]
    value = x[:, 0] - x[:, 1] / 5 + rng.normal(0, 0.5, n)
    return x, value, (value > -1).astype(int)


def test_a_ridge_regression_is_scikit_learns() -> None:
    x, value, _ = _rows()
    scaled = StandardScaler().fit_transform(x)
    oracle = Ridge(alpha=1.0).fit(scaled, value).predict(scaled)
    assert linear("regression", x, value).score(x)[:, 0] == pytest.approx(oracle)


def test_a_logistic_regression_is_scikit_learns() -> None:
    x, _, truth = _rows()
    scaled = StandardScaler().fit_transform(x)
    oracle = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(scaled, truth)
    found = linear("binary", x, truth, penalty=2.0).score(x)[:, 0]
    assert found == pytest.approx(oracle.predict_proba(scaled)[:, 1], abs=1e-5)


def test_several_classes_are_each_against_the_rest_and_sum_to_one() -> None:
    x, value, _ = _rows()
    truth = np.digitize(value, [-2, 0])
    found = linear("multiclass", x, truth, 3).score(x)
    assert found.sum(axis=1) == pytest.approx(np.ones(300))
    assert (found.argmax(axis=1) == truth).mean() > 0.6


def test_rows_that_can_be_told_apart_do_not_run_away() -> None:
    found = linear("binary", [[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1])
    assert np.isfinite(found.weights).all()
    assert found.score([[0.0], [11.0]])[:, 0].round().tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_target_of_one_value_is_learnt_as_that_value(kind: Any) -> None:
    x = np.arange(40.0)[:, None]
    assert tree(kind, x, np.ones(40)).score(x) == pytest.approx(np.ones((40, 1)))
    assert linear(kind, x, np.ones(40)).score(x) == pytest.approx(np.ones((40, 1)), abs=0.05)


def test_a_shallow_tree_is_about_as_good_as_scikit_learns() -> None:
    x, value, truth = _rows(3, 600)
    mine = tree("regression", x, value)
    oracle = DecisionTreeRegressor(max_depth=3, min_samples_leaf=20).fit(x, value)
    lost = ((mine.score(x)[:, 0] - value) ** 2).mean()
    assert lost <= 1.15 * ((oracle.predict(x) - value) ** 2).mean()
    assert mine.leaves <= 8
    said = tree("binary", x, truth).score(x)[:, 0]
    theirs = DecisionTreeClassifier(max_depth=3, min_samples_leaf=20).fit(x, truth)
    lost = ((said - truth) ** 2).mean()
    assert lost <= 1.15 * ((theirs.predict_proba(x)[:, 1] - truth) ** 2).mean()


def test_the_first_question_is_found_by_hand() -> None:
    x = [[1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [4.0, 7.0]]
    found = tree("binary", x, [0, 0, 1, 1], depth=1, leaf_rows=1)
    assert (found.column, found.line) == (0, 2.0)
    assert found.score([[2.0, 0.0], [2.1, 0.0]]).tolist() == [[0.0], [1.0]]


def test_leaves_hold_the_rows_that_were_asked_for() -> None:
    x = np.arange(30.0)[:, None]
    assert tree("regression", x, x[:, 0], leaf_rows=16).leaves == 1
    assert tree("regression", x, x[:, 0], leaf_rows=15).leaves == 2


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_no_other_constant_loses_less_in_squares(target: list[float]) -> None:
    answer = float(constant("regression", target).answer[0])
    truth = np.array(target)
    lost = ((truth - answer) ** 2).sum()
    for other in (answer - 0.1, answer + 0.1, float(np.median(truth))):
        assert lost <= ((truth - other) ** 2).sum() * (1 + 1e-9) + 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_scores_are_finite_and_chances_lie_between_0_and_1(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, truth = rng.normal(size=(n, 2)) * 1e3, rng.integers(0, 2, n)
    for model in (linear("binary", x, truth), tree("binary", x, truth, leaf_rows=1)):
        found = model.score(x)
        assert ((found >= 0) & (found <= 1)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_the_unit_of_a_column_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, truth = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    order = rng.permutation(60)
    for fit in (linear, tree):
        usual = fit("binary", x, truth).score(x)
        assert fit("binary", x[order], truth[order]).score(x) == pytest.approx(usual, abs=1e-6)
        assert fit("binary", x * 1000, truth).score(x * 1000) == pytest.approx(usual, abs=1e-6)


def test_what_cannot_be_learnt_from_is_refused_by_name() -> None:
    with pytest.raises(TooFewError):
        constant("binary", [])
    with pytest.raises(OutOfRangeError):
        constant("binary", [0, 2])
    with pytest.raises(OutOfRangeError):
        linear("regression", [[np.nan]], [1.0])
    with pytest.raises(OutOfRangeError):
        linear("regression", [[1.0]], [1.0], penalty=0)
    with pytest.raises(ShapesDifferError):
        tree("regression", [[1.0], [2.0]], [1.0])
    with pytest.raises(ShapesDifferError):
        linear("regression", [[1.0], [2.0]], [1.0, 2.0]).score([[1.0, 2.0]])
