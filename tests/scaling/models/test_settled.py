"""An estimator that is kept twice gives the same bytes, and they load as ever."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mainspring.scaling.models import native_form
from mainspring.scaling.models.settled import settled

X = np.random.default_rng(0).normal(size=(120, 3)).round(1)
Y = X.sum(axis=1) > 0


def _columns() -> Any:
    return ColumnTransformer(
        [("a", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough"
    )


MADE = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(4, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=4, random_state=0),
    "columns": lambda: make_pipeline(_columns(), LogisticRegression()),
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_two_fits_of_the_same_numbers_are_the_same_bytes(name: str) -> None:
    first, second = (native_form.dump(MADE[name]().fit(X, Y)) for _ in range(2))
    assert first == second
    assert np.array_equal(
        native_form.load(first).predict_proba(X), MADE[name]().fit(X, Y).predict_proba(X)
    )


def test_other_numbers_are_other_bytes() -> None:
    first = native_form.dump(LogisticRegression().fit(X, Y))
    assert first != native_form.dump(LogisticRegression(C=2.0).fit(X, Y))


def test_parts_that_are_shared_stay_shared_and_settling_twice_changes_nothing() -> None:
    shared = np.arange(4.0)
    plain = skops.io.dumps({"a": shared, "b": shared, "c": np.arange(4.0)})
    once = settled(plain)
    assert settled(once) == once
    found = skops.io.loads(once)
    assert found["a"] is found["b"]
    assert found["a"] is not found["c"]
    with zipfile.ZipFile(io.BytesIO(once)) as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.testzip() is None
