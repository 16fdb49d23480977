"""Models of other bytes are compared by what they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.backends.objects.local import LocalObjects
from mainspring.pipelines.differing import Apart
from mainspring.scaling.models import package
from mainspring.scaling.models.model import FittedModel, Model
from mainspring.workspace import codecs
from mainspring.workspace.proofs import answers

ROWS = pl.DataFrame({"x": np.linspace(-2, 2, 40), "late": [0, 1] * 10 + [1] * 20})


def fitted(strength: float) -> FittedModel:
    return Model(LogisticRegression(C=strength), target="late").fit(ROWS)


@pytest.mark.parametrize(
    ("strength", "verdict"), [(1.0 + 1e-9, "within"), (0.01, "beyond")], ids=["near", "far"]
)
def test_a_model_is_asked_about_its_training_rows(
    strength: float, verdict: str, tmp_path: Path
) -> None:
    objects = LocalObjects(tmp_path)
    was, now = (package.write(fitted(one), objects) for one in (1.0, strength))
    found = answers.models(was, now, objects, 0.01)
    assert found.verdict == verdict, found
    assert "model.skops" in found.where
    assert " of 40 training rows" in found.where


def test_an_estimator_is_asked_about_drawn_rows(tmp_path: Path) -> None:
    objects, codec = LocalObjects(tmp_path), codecs.EstimatorCodec()
    x = np.arange(8.0).reshape(4, 2)

    def compared(one: object, two: object) -> Apart:
        kept = [codec.encode(each, objects).digest for each in (one, two)]
        return answers.estimators(*kept, objects, 0.01)

    line = LinearRegression().fit(x, x[:, 0])
    other = LinearRegression().fit(x, x[:, 0] * 2)
    found = compared(line, other)
    assert found.verdict == "beyond"
    assert found.where.startswith("the answer to row ")
    same = LinearRegression(n_jobs=1).fit(x, x[:, 0])
    found = compared(line, same)
    assert (found.verdict, found.where) == (
        "within",
        "the answers to each of 500 drawn rows are the same",
    )
    found = compared(line, LogisticRegression().fit(x, [0, 0, 1, 1]))
    assert found.where == "a LinearRegression became a LogisticRegression"
    assert compared(line, LinearRegression()).verdict == "unknown"
