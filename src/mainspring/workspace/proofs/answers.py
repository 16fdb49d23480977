"""Compare two models of other bytes by what they answer.

A model of a package is asked about the training rows it carries, an estimator alone about rows
drawn with a settled seed: what two models answer says more than which of their files differ.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.ports import Objects
from mainspring.pipelines import differing
from mainspring.pipelines.cells import Place
from mainspring.pipelines.differing import Apart

ROWS = 500  #: that an estimator without rows of its own is asked about


def models(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return how the answers of two packaged models differ, on the rows of the first.

    Scores of classes are shares: their difference counts as it is; of a regression, relative
    to the larger. A package that holds no such model is compared by its files.
    """
    from mainspring.scaling.models import package

    files = differing.manifests(was, now, objects, tolerance)
    try:
        old, new = package.read(was, objects), package.read(now, objects)
        rows = package.example(was, objects)
        answers = old.score(rows), new.score(rows)
    except MainspringError:  # of another tool's making, or it takes other columns by now
        return files
    relative = old.signature.kind == "regression"
    found = apart(*answers, tolerance, f"of {len(rows):,} training rows", relative=relative)
    return msgspec.structs.replace(found, where=f"{files.where}: {found.where}")


def estimators(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return how the answers of two estimators to drawn rows differ."""
    import numpy as np

    from mainspring.workspace.codecs import EstimatorCodec

    codec = EstimatorCodec()
    old, new = (codec.decode(one, objects, Path()) for one in (was, now))
    if type(old) is not type(new):
        where = f"a {type(old).__name__} became a {type(new).__name__}"
        return Apart(verdict="beyond", where=where)
    rows = np.random.default_rng(0).normal(size=(ROWS, getattr(old, "n_features_in_", 1)))
    ask = "predict_proba" if hasattr(old, "predict_proba") else "predict"
    ask = ask if hasattr(old, ask) else "transform"
    try:
        answers = [np.asarray(getattr(one, ask)(rows), dtype=float) for one in (old, new)]
    except (ValueError, TypeError, AttributeError) as error:  # of text, or not fitted
        where = f"they cannot be asked about drawn rows: {error}"
        return Apart(verdict="unknown", where=where[:200])
    relative = ask != "predict_proba"
    return apart(answers[0], answers[1], tolerance, f"of {ROWS} drawn rows", relative=relative)


def apart(was: Any, now: Any, tolerance: float, whose: str, *, relative: bool) -> Apart:
    """Return how far two arrays of answers are apart; ``whose`` says what each is an answer to.

    Differences are shares of the larger if ``relative``. What are no numbers must be the same.
    """
    import numpy as np

    if was.shape != now.shape:
        where = f"its answers {list(was.shape)} became {list(now.shape)}"
        return Apart(verdict="beyond", where=where)
    a, b = was.ravel(), now.ravel()
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        other = np.flatnonzero(a != b)
        if not other.size:
            return Apart(verdict="within", where=f"the answers to each {whose} are the same")
        row = int(np.unravel_index(int(other[0]), was.shape)[0])
        where = f"the answer to row {row} {whose}: {a[other[0]]!r} -> {b[other[0]]!r}"
        return Apart(verdict="beyond", where=where, largest=math.inf)
    a, b = a.astype(float), b.astype(float)
    with np.errstate(all="ignore"):
        far = np.abs(a - b)
        if relative:
            far = far / np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
    far = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, far)
    far = np.where(np.isnan(far), math.inf, far)
    if not far.any():
        return Apart(verdict="within", where=f"the answers to each {whose} are the same")
    at = int(far.argmax())
    row = int(np.unravel_index(at, was.shape)[0])
    where = f"the answer to row {row} {whose}: {a[at]:.6g} -> {b[at]:.6g}"
    return differing.settled(Place(largest=float(far[at]), where=where), tolerance, "")
