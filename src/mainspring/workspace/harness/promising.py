"""Promises that a test can ask of steps and models: it learns, it repeats, it comes back whole."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError
from mainspring.numerics.scores import quality
from mainspring.scaling.models import load, package
from mainspring.scaling.models.model import FittedModel
from mainspring.workspace.harness.trying import StepTried, run_step

_ROUNDING = 1e-9  # of the constant's loss: a model that is the constant is no better


def assert_learns(fit: Any, rows: pl.DataFrame, /, **inputs: Any) -> FittedModel:
    """Check that a training lowers the loss on the rows it is given, and return the model.

    ``fit`` is a step or function that takes the rows first (and ``inputs``), or an ``ms.Model``.
    A model that learns at all does better on its own rows than the best constant answer, even on
    rows drawn by chance; one whose target, features or sign are mixed up does not. The loss is
    the logarithmic one of a classifier, the squared one of a regression: what they minimise.

    Raises:
        AssertionError: with both losses, if it does not.
        BadInputError: if what it returns is no model.
    """
    made = fit.fit(rows) if hasattr(fit, "fit") else fit(rows, **inputs)
    if not isinstance(made, FittedModel):
        raise BadInputError(
            f"assert_learns wants what ms.Model(...).fit(...) returns, found"
            f" {type(made).__name__}.",
            field="fit",
        )
    truth = made.truth(rows)
    learnt, constant = (
        _loss(made, made.score(rows), truth),
        _loss(made, _constant(made, truth), truth),
    )
    if not learnt < constant * (1 - _ROUNDING):
        raise AssertionError(
            f"It did not learn: its mean loss on the rows it learnt from is {learnt:.6g}, that"
            f" of the best constant answer {constant:.6g}."
        )
    return made


def assert_restores(model: FittedModel, rows: pl.DataFrame) -> None:
    """Check that a model that was kept and loaded again gives the same scores.

    In both forms it may be served in: the exact one must give the same numbers, ONNX numbers
    that agree to five digits.

    Raises:
        AssertionError: with the largest difference, if it does not.
    """
    before = model.score(rows)
    with tempfile.TemporaryDirectory(prefix="mainspring-objects-") as folder:
        objects = open_objects(folder)
        digest = package.write(model, objects)
        forms: tuple[tuple[load.Form, float], ...] = (("native", 0.0), ("onnx", 1e-5))
        for form, allowed in forms:
            after = load.load(digest, objects, prefer=form).score(rows)
            largest = float(np.max(np.abs(after - before))) if before.size else 0.0
            if not largest <= allowed * max(1.0, float(np.max(np.abs(before), initial=0.0))):
                raise AssertionError(
                    f"Loaded again in its {form} form it scores up to {largest:.3g} apart."
                )


def assert_reproducible(step: Any, /, *, times: int = 2, **inputs: Any) -> StepTried:
    """Check that a step gives the same bytes each time, and return what it gave.

    Between the times the shared random numbers of Python and numpy stand elsewhere, so that a
    step that draws from them without a seed is found out.

    Raises:
        AssertionError: saying what differs, if it does not.
    """
    first = None
    for nth in range(max(times, 2)):
        with _elsewhere(nth):
            found = run_step(step, **inputs)
        if first is None:
            first = found
        elif found.digest != first.digest:
            raise AssertionError(
                f"It gave other bytes at time {nth + 1}: {_difference(first, found)}."
            )
    if first is None:
        raise BadInputError("times must be 1 or more.", field="times")
    return first


def _loss(model: FittedModel, scores: Any, truth: Any) -> float:
    if model.signature.kind == "regression":
        return float(np.mean((scores[:, 0] - truth) ** 2))
    return quality(model.signature.kind, scores, truth, model.signature.scale)["log_loss"]


def _constant(model: FittedModel, truth: Any) -> Any:
    """Return the scores of the best constant answer."""
    if model.signature.kind == "multiclass":
        shares = [float((truth == place).mean()) for place in range(len(model.signature.classes))]
        return np.tile(shares, (len(truth), 1))
    return np.full((len(truth), 1), float(np.mean(truth)))


@contextlib.contextmanager
def _elsewhere(nth: int) -> Iterator[None]:
    python, numpys = random.getstate(), np.random.get_state()
    random.seed(nth)
    np.random.seed(nth)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)


def _difference(first: StepTried, second: StepTried) -> str:
    if first.type != second.type:
        return f"first a {first.type}, then a {second.type}"
    one, two = first.value, second.value
    if first.type == "frame" and isinstance(one, pl.DataFrame) and isinstance(two, pl.DataFrame):
        if one.shape != two.shape:
            return f"first {one.shape[0]} x {one.shape[1]}, then {two.shape[0]} x {two.shape[1]}"
        names = [name for name in one.columns if not one[name].equals(two[name])]
        return f"columns {', '.join(names)}" if names else "the order of columns"
    if first.type in ("json", "text"):
        return f"first {one!r:.80}, then {two!r:.80}"
    return f"another {first.type}"
