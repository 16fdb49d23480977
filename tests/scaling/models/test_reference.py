"""A version keeps rows it did not learn from, with what it said of them and what was true."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.ground import identity
from mainspring.ground.objects import Profile
from mainspring.numerics.scores import row_losses
from mainspring.scaling.models import model as models
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model


def _rows(count: int, seed: int = 0, classes: int = 2) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    cuts = [0.0] if classes == 2 else [-0.5, 0.5]
    truth = np.searchsorted(cuts, x + 0.5 * random.normal(size=count))
    return pl.DataFrame({"x": x, "y": truth})


@pytest.mark.parametrize("classes", [2, 3])
def test_held_out_rows_stay_with_their_scores_and_their_truth(objects, classes) -> None:
    rows, holdout = _rows(400, classes=classes), _rows(150, seed=1, classes=classes)
    fitted = Model(LogisticRegression(), "y").fit(rows, holdout)
    kept = package.reference(package.write(fitted, objects), objects)
    assert kept is not None
    assert kept["x"].to_list() == holdout["x"].to_list()
    assert kept["_y"].to_list() == holdout["y"].to_list()
    scores = np.array(kept["_score"].to_list()).reshape(150, -1)
    assert np.array_equal(scores, fitted.score(holdout))
    losses = row_losses(fitted.signature.kind, scores, kept["_y"].to_numpy(), 1.0)
    assert losses.mean() == pytest.approx(fitted.baseline.loss)


def test_a_refitted_version_keeps_the_rows_of_its_honest_measure() -> None:
    rows, holdout = _rows(400), _rows(150, seed=1)
    honest = Model(LogisticRegression(), "y").fit(rows, holdout)
    refitted = Model(LogisticRegression(), "y").fit(rows, holdout, refit=True)
    assert honest.reference is not None
    assert refitted.reference is not None
    assert refitted.reference.equals(honest.reference)


def test_no_more_rows_are_kept_than_a_monitor_needs(monkeypatch) -> None:
    monkeypatch.setattr(models, "REFERENCE_ROWS", 100)
    fitted = Model(LogisticRegression(), "y").fit(_rows(400), _rows(150, seed=1))
    assert fitted.reference is not None
    assert fitted.reference.height == 100


def test_a_package_of_before_has_none(objects) -> None:
    digest = package.write(Model(LogisticRegression(), "y").fit(_rows(400)), objects)
    manifest = package.read_manifest(digest, objects)
    files = {path: one for path, one in manifest.files.items() if path != "reference.parquet"}
    old = objects.put(identity.canonical(msgspec.structs.replace(manifest, files=files)))
    assert package.reference(old, objects) is None
    assert isinstance(package.profile(old, objects), Profile)
    assert package.read(old, objects).reference is None
