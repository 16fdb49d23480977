"""Losses of single rows in [0, 1], and the quality of many rows in the field's own metrics.

Three kinds of task share one shape: ``scores`` is (rows, k) or, for k = 1, also (rows,).

* ``binary``: the probability of the positive class (k = 1); the target is 0 or 1.
* ``multiclass``: one probability a class (k classes); the target is the class's number.
* ``regression``: the predicted value (k = 1); the target is a number.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)

Floats = npt.NDArray[np.float64]
Kind = Literal["binary", "multiclass", "regression"]

# Probabilities are kept this far from 0 and 1 in a log-loss, as scikit-learn long did: one
# row then costs at most 34.5 nats.
CLIP = 1e-15

#: Which way is up, for every metric :func:`quality` may return.
HIGHER_IS_BETTER = {
    "accuracy": True,
    "auc": True,
    "r2": True,
    "brier": False,
    "log_loss": False,
    "loss": False,
    "mae": False,
    "rmse": False,
}


def row_losses(
    kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike, scale: float = 1.0
) -> Floats:
    """Return the loss of every row, shape (rows,), each between 0 (right) and 1 (worst).

    Binary: squared error of the probability (Brier). Multiclass: half the summed squared error
    over the classes. Regression: the squared error in units of ``scale`` (a tolerable error,
    in the target's unit, greater than 0), clipped at 1.

    Raises:
        ShapesDifferError: if scores and target do not describe the same rows.
        OutOfRangeError: if a probability is not in [0, 1], a class is unknown, a value is
            missing, or the scale is not positive.

    Example:
        >>> row_losses("binary", [0.9, 0.5], [1, 0]).round(2).tolist()
        [0.01, 0.25]
        >>> row_losses("regression", [10.0, 10.0], [11.0, 90.0], scale=2.0).tolist()
        [0.25, 1.0]

    Source: Brier, Verification of forecasts expressed in terms of probability, Monthly Weather
    Review 78 (1950); halved, so that the multiclass loss ends at 1 and agrees with the binary.
    """
    matrix, truth = _rows(kind, scores, target)
    if kind == "binary":
        return np.asarray((matrix[:, 0] - truth) ** 2, dtype=np.float64)
    if kind == "multiclass":
        errors = matrix.copy()
        errors[np.arange(truth.size), truth.astype(np.int64)] -= 1
        # Probabilities that sum to one by rounding only must not push a loss above 1.
        return np.asarray(np.minimum((errors**2).sum(axis=1) / 2, 1.0), dtype=np.float64)
    if not (scale > 0 and math.isfinite(scale)):
        raise OutOfRangeError(f"The scale of a regression loss must be positive, found {scale}.")
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(((truth - matrix[:, 0]) / scale) ** 2, 1.0))


def quality(
    kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike, scale: float = 1.0
) -> dict[str, float]:
    """Return the named metrics of many rows; :data:`HIGHER_IS_BETTER` says which way is up.

    Always ``loss``, the mean of :func:`row_losses`. Binary: accuracy (at 0.5), auc, brier,
    log_loss. Multiclass: accuracy, brier, log_loss. Regression: mae, rmse, r2. A metric that
    these rows do not define is left out: auc with one class only, r2 with a constant target.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError, OutOfRangeError: as :func:`row_losses`.

    Example:
        >>> quality("regression", [1.0, 2.0], [1.0, 4.0], scale=4.0)["mae"]
        1.0
    """
    losses = row_losses(kind, scores, target, scale)
    if losses.size == 0:
        raise TooFewError("A metric needs at least one row, found none.")
    found = {"loss": float(losses.mean())}
    if kind == "regression":
        found["mae"] = mae(scores, target)
        found["rmse"] = rmse(scores, target)
        if np.ptp(np.asarray(target, dtype=np.float64)) > 0:
            found["r2"] = r2(scores, target)
        return found
    found["accuracy"] = accuracy(kind, scores, target)
    found["brier"] = found["loss"]
    found["log_loss"] = log_loss(kind, scores, target)
    if kind == "binary" and np.unique(np.asarray(target)).size == 2:
        found["auc"] = auc(scores, target)
    return found


def auc(scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the chance that a positive row scores above a negative one, ties counting half.

    Exact, by midranks; scores need not be probabilities. 0.5 is guessing, 1 a perfect order.

    Raises:
        OneClassError: if all rows are of one class.
        ShapesDifferError: if scores and target do not describe the same rows.
        OutOfRangeError: if a score is missing.

    Example:
        >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        0.75

    Source: sklearn.metrics.roc_auc_score; the Mann-Whitney statistic over the pairs.
    """
    values = np.asarray(scores, dtype=np.float64)
    values = values.reshape(values.shape[0])
    positive = np.asarray(target).astype(bool)
    if positive.shape != values.shape:
        raise ShapesDifferError(f"{values.size} scores for targets of shape {positive.shape}.")
    if np.isnan(values).any():
        raise OutOfRangeError("A missing score has no rank; leave missing rows out first.")
    positives = int(positive.sum())
    negatives = positive.size - positives
    if positives == 0 or negatives == 0:
        raise OneClassError(f"AUC needs both classes; all {positive.size} rows are of one.")
    above = midranks(values)[positive].sum() - positives * (positives + 1) / 2
    return float(above) / (positives * negatives)


def midranks(values: Floats) -> Floats:
    """Return the rank of every value from 1 on, equal values sharing their mean rank.

    Example:
        >>> midranks(np.array([5.0, 1.0, 5.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, at, repeats = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(repeats) - (repeats - 1) / 2)[at], dtype=np.float64)


def log_loss(kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the mean surprise at the true class, in nats; lower is better.

    Probabilities are clipped at :data:`CLIP`; those of several classes are first divided by
    their sum.

    Raises:
        ShapesDifferError, OutOfRangeError: as :func:`row_losses`.
        TooFewError: if there is no row; so for all metrics below.
    """
    matrix, truth = _some_rows(kind, scores, target)
    if kind == "multiclass":
        totals = matrix.sum(axis=1, keepdims=True)
        shares = matrix / np.where(totals > 0, totals, 1.0)
        chosen = shares[np.arange(truth.size), truth.astype(np.int64)]
    else:
        chosen = np.where(truth == 1, matrix[:, 0], 1 - matrix[:, 0])
    return float(-np.log(np.clip(chosen, CLIP, 1 - CLIP)).mean())


def brier(kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the mean squared error of probabilities, in [0, 1]; lower is better.

    For several classes half the sum over the classes, as in :func:`row_losses`.
    """
    _some_rows(kind, scores, target)
    return float(row_losses(kind, scores, target).mean())


def accuracy(kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the share of rows whose likeliest class is the true one.

    Binary: positive from a probability of 0.5 on. Of equal classes the first counts.
    """
    matrix, truth = _some_rows(kind, scores, target)
    said = matrix[:, 0] >= 0.5 if kind == "binary" else matrix.argmax(axis=1)
    return float((said == truth).mean())


def mae(scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the mean absolute error, in the target's unit; lower is better."""
    matrix, truth = _some_rows("regression", scores, target)
    return float(np.abs(matrix[:, 0] - truth).mean())


def rmse(scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the root of the mean squared error, in the target's unit; lower is better."""
    matrix, truth = _some_rows("regression", scores, target)
    return math.sqrt(float(((matrix[:, 0] - truth) ** 2).mean()))


def r2(scores: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Return the share of the target's variance that the prediction explains, at most 1.

    Raises:
        TooFewError: if the target is constant, so that there is nothing to explain.
    """
    matrix, truth = _some_rows("regression", scores, target)
    total = float(((truth - truth.mean()) ** 2).sum())
    if total == 0:
        raise TooFewError("R2 needs a target that varies, found one value only.")
    return 1 - float(((matrix[:, 0] - truth) ** 2).sum()) / total


def _some_rows(kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    matrix, truth = _rows(kind, scores, target)
    if truth.size == 0:
        raise TooFewError("A metric needs at least one row, found none.")
    return matrix, truth


def _rows(kind: Kind, scores: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    truth = np.asarray(target, dtype=np.float64)
    if matrix.ndim != 2 or truth.shape != (matrix.shape[0],):
        raise ShapesDifferError(
            f"Scores of shape {matrix.shape} need a target of shape ({matrix.shape[0]},), "
            f"found {truth.shape}."
        )
    if (kind == "multiclass") != (matrix.shape[1] > 1):
        raise ShapesDifferError(f"{kind} scores cannot have {matrix.shape[1]} columns.")
    if not (np.isfinite(matrix).all() and np.isfinite(truth).all()):
        raise OutOfRangeError("Scores and targets must be finite; leave missing rows out first.")
    if kind != "regression":
        _check_probabilities(kind, matrix, truth)
    return matrix, truth


def _check_probabilities(kind: Kind, matrix: Floats, truth: Floats) -> None:
    if matrix.size and (matrix.min() < 0 or matrix.max() > 1):
        raise OutOfRangeError(
            f"Probabilities must lie in [0, 1], found {matrix.min()} to {matrix.max()}."
        )
    classes = 2 if kind == "binary" else matrix.shape[1]
    if not np.isin(truth, np.arange(classes)).all():
        raise OutOfRangeError(f"{kind} targets must be classes 0 to {classes - 1}.")
