"""The metrics of labelled rows, each with its interval; what rows do not define has a reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Signature
from mainspring.numerics.errors import NumericsError, OneClassError, TooFewError
from mainspring.numerics.forecasts import mape, ratio_of_means, wape
from mainspring.numerics.intervals import (
    Interval,
    delong,
    hanley_mcneil,
    mean_interval,
    wilson,
)
from mainspring.numerics.scores import auc

Floats = npt.NDArray[np.float64]
Figures = dict[str, dict[str, Any]]

#: Classes that get metrics of their own; beyond them those with most rows.
MOST_CLASSES = 20


def measures(
    scores: Floats, truth: Floats, losses: Floats, signature: Signature
) -> tuple[Figures, dict[str, str]]:
    """Return metrics by name, each an interval at 95 %, and the reason for those undefined.

    Binary: accuracy, positive_rate, precision, recall, f1, auc, log_loss, brier, all at a
    threshold of 0.5. Several classes: accuracy, log_loss, brier, and ``precision/NAME``,
    ``recall/NAME``, ``f1/NAME``, ``auc/NAME`` for the classes with most rows. Regression: mae,
    rmse, bias, r2, mape, wape.
    """
    if signature.kind == "regression":
        asked = _regression(scores[:, 0], truth)
    elif signature.kind == "binary":
        asked = _binary(scores[:, 0], truth)
    else:
        asked = _classes(scores, truth, signature.classes)
    if signature.kind != "regression":
        asked["brier"] = lambda: _mean(losses)
    found: Figures = {}
    undefined: dict[str, str] = {}
    for name, measure in asked.items():
        try:
            found[name] = plain(measure())
        except NumericsError as error:
            undefined[name] = str(error)
    return found, undefined


def plain(interval: Interval) -> dict[str, Any]:
    """Return an interval as it is stored; ends that are not known are None."""
    low, high = (end if math.isfinite(end) else None for end in (interval.low, interval.high))
    return {"estimate": interval.estimate, "low": low, "high": high, "n": interval.n}


def mean_of(values: Floats) -> dict[str, Any]:
    """Return a mean with its interval; one row has no scatter, so its interval has no ends."""
    return plain(_mean(values))


def _mean(values: Floats) -> Interval:
    try:
        return mean_interval(values)
    except TooFewError:
        return Interval(float(values.mean()), math.nan, math.nan, 0.95, int(values.size))


Asked = dict[str, Callable[[], Interval]]


def _binary(score: Floats, truth: Floats) -> Asked:
    said, came = score >= 0.5, truth == 1
    chosen = np.where(came, score, 1 - score)
    return {
        "accuracy": lambda: wilson(int((said == came).sum()), truth.size),
        "positive_rate": lambda: wilson(int(came.sum()), truth.size),
        **_of_class(said, came, ""),
        "auc": lambda: _auc(score, came),
        "log_loss": lambda: _mean(_surprise(chosen)),
    }


def _classes(scores: Floats, truth: Floats, names: list[str]) -> Asked:
    said = scores.argmax(axis=1)
    numbers = truth.astype(np.int64)
    chosen = scores[np.arange(truth.size), numbers]
    asked: Asked = {
        "accuracy": lambda: wilson(int((said == truth).sum()), truth.size),
        "log_loss": lambda: _mean(_surprise(chosen)),
    }
    counts = np.bincount(numbers, minlength=scores.shape[1])
    for number in np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist():
        name = names[number] if number < len(names) else str(number)
        came = numbers == number
        asked |= _of_class(said == number, came, f"/{name}")
        asked[f"auc/{name}"] = lambda s=scores[:, number], c=came: _auc(s, c)  # type: ignore[misc]
    return asked


def _of_class(said: npt.NDArray[np.bool_], came: npt.NDArray[np.bool_], suffix: str) -> Asked:
    hits = int((said & came).sum())

    def f1() -> Interval:
        # F1 is a ratio of two means over the rows: 2 TP to 2 TP + FP + FN.
        both = 2.0 * (said & came)
        if not (said.any() or came.any()):
            raise TooFewError("F1 needs a row that is positive or was said to be, found none.")
        found = ratio_of_means(both, both + (said ^ came))
        low, high = max(found.low, 0.0), min(found.high, 1.0)
        return Interval(found.estimate, low, high, found.confidence, found.n)

    def share(of: npt.NDArray[np.bool_], told: str) -> Interval:
        if not of.any():
            raise TooFewError(told)
        return wilson(hits, int(of.sum()))

    return {
        f"precision{suffix}": lambda: share(said, "Nothing was said to be of this class."),
        f"recall{suffix}": lambda: share(came, "No row was of this class."),
        f"f1{suffix}": f1,
    }


def _auc(score: Floats, came: npt.NDArray[np.bool_]) -> Interval:
    try:
        return delong(came, score)
    except OneClassError:
        raise
    except TooFewError:
        positives = int(came.sum())
        return hanley_mcneil(auc(score, came), positives, came.size - positives)


def _surprise(chosen: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(chosen, 1e-15, 1.0)), dtype=np.float64)


def _regression(said: Floats, truth: Floats) -> Asked:
    errors = said - truth

    def rmse() -> Interval:
        square = _mean(errors**2)
        ends = (_root(square.low), _root(square.high))
        return Interval(_root(square.estimate), *ends, square.confidence, square.n)

    def r2() -> Interval:
        if truth.size < 2 or float(np.ptp(truth)) == 0:
            raise TooFewError("R2 needs a target that varies, found one value only.")
        left = ratio_of_means(errors**2, (truth - truth.mean()) ** 2)
        return Interval(1 - left.estimate, 1 - left.high, 1 - left.low, left.confidence, left.n)

    return {
        "mae": lambda: _mean(np.abs(errors)),
        "rmse": rmse,
        "bias": lambda: _mean(errors),
        "r2": r2,
        "mape": lambda: mape(said, truth),
        "wape": lambda: wape(said, truth),
    }


def _root(square: float) -> float:
    return square if math.isnan(square) else math.sqrt(max(square, 0.0))
