"""Say how good the answers of a window were, now that the truth is known, and how sure that is.

Measured on the rows a version scored, whether it answered them or stood beside the one that
did. The alarm is raised on the mean bounded loss alone: its lower bound, at the chance of a
false alarm the policy allows, must lie above the baseline's loss by more than the tolerance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import MonitorPolicy, Signature, Window
from mainspring.monitoring.columns import scores_of
from mainspring.monitoring.labels import Joined
from mainspring.numerics.errors import NumericsError, OneClassError, TooFewError
from mainspring.numerics.intervals import Interval, hanley_mcneil, mean_interval, wilson
from mainspring.numerics.scores import auc, row_losses

Floats = npt.NDArray[np.float64]


def measure_performance(
    window: Window,
    joined: Joined,
    baseline_loss: float | None,
    policy: MonitorPolicy,
    signature: Signature,
) -> dict[str, Any]:
    """Return what the labels of a window say.

    ``loss`` and every entry of ``metrics`` is an interval (estimate, low, high) at 95 %;
    ``coverage`` says what part of the window's rows has a label. ``lower_bound`` is what the
    verdict (quiet, alarm, too few rows, no baseline) compares with ``line``. ``by_version``
    holds the same measures for every version that scored rows.
    """
    whole = joined.rows
    versions = sorted(_versions(whole))
    measured = {str(v): _of_version(whole, v, signature) for v in versions}
    empty = _of_rows(np.empty((0, 1)), np.empty(0), signature)
    own = measured.get(str(window.version), empty)
    found = {
        **own,
        "version": window.version,
        "labelled": whole.height,
        "coverage": _coverage(whole.height, window.rows),
        "unmatched": joined.unmatched,
        "replaced": joined.replaced,
        "foreign": joined.foreign,
        "mature_at": window.end + policy.label_delay_s,
        "baseline_loss": baseline_loss,
        "line": None if baseline_loss is None else baseline_loss + policy.loss_tolerance,
        "lower_bound": None,
        "by_version": measured,
    }
    return {**found, **_verdict(whole, window, found, policy, signature)}


def _verdict(
    whole: pl.DataFrame,
    window: Window,
    found: dict[str, Any],
    policy: MonitorPolicy,
    signature: Signature,
) -> dict[str, Any]:
    if "loss" in found["undefined"]:
        return {"verdict": "too few rows", "why": f"Not judged: {found['undefined']['loss']}"}
    if found["rows"] < max(policy.min_rows, 2):
        told = (
            f"{found['rows']:,} labelled rows of version {window.version},"
            f" {max(policy.min_rows, 2):,} are needed"
        )
        return {"verdict": "too few rows", "why": f"Not judged: {told}."}
    if found["line"] is None:
        return {"verdict": "no baseline", "why": "Not judged: the version has no holdout loss."}
    scores, truth = _scored(whole, window.version)
    losses = row_losses(signature.kind, scores, truth, signature.scale)
    # One-sided at alpha: a two-sided interval with alpha on either side.
    bound = mean_interval(losses, 1 - 2 * policy.alpha).low
    loss, line = found["loss"]["estimate"], found["line"]
    told = (
        f"Mean loss {loss:.4f} on {found['rows']:,} labelled rows"
        f" ({_percent(found['coverage']['estimate'])} of the window), at least {bound:.4f};"
        f" {found['baseline_loss']:.4f} on the holdout, {line:.4f} is tolerated."
    )
    return {"verdict": "alarm" if bound > line else "quiet", "why": told, "lower_bound": bound}


def _of_version(whole: pl.DataFrame, version: int, signature: Signature) -> dict[str, Any]:
    return _of_rows(*_scored(whole, version), signature)


def _scored(whole: pl.DataFrame, version: int | None) -> tuple[Floats, Floats]:
    """Return scores and truth of the rows that a version scored with finite scores."""
    scores, taken = scores_of(whole, version)
    truth = np.asarray(whole["_y"].to_numpy(), dtype=np.float64)[taken]
    sound = np.isfinite(scores).all(axis=1)
    return scores[sound], truth[sound]


def _of_rows(scores: Floats, truth: Floats, signature: Signature) -> dict[str, Any]:
    """Return the measures of rows; what the rows do not define is named with its reason."""
    found: dict[str, Any] = {"rows": int(truth.size), "loss": None, "metrics": {}, "undefined": {}}
    if truth.size == 0:
        return found
    try:
        losses = row_losses(signature.kind, scores, truth, signature.scale)
    except NumericsError as error:
        return {**found, "rows": 0, "undefined": {"loss": str(error)}}
    found["loss"] = _mean(losses)
    measure = _regression if signature.kind == "regression" else _classes
    for name, (value, reason) in measure(scores, truth).items():
        if reason:
            found["undefined"][name] = reason
        if value is not None:
            found["metrics"][name] = value
    return found


def _classes(scores: Floats, truth: Floats) -> dict[str, tuple[dict[str, Any] | None, str]]:
    binary = scores.shape[1] == 1
    said = (scores[:, 0] >= 0.5) if binary else scores.argmax(axis=1)
    found: dict[str, tuple[dict[str, Any] | None, str]] = {}
    found["accuracy"] = _plain(wilson(int((said == truth).sum()), truth.size)), ""
    if binary:
        chosen = np.where(truth == 1, scores[:, 0], 1 - scores[:, 0])
        positives = int((truth == 1).sum())
        found["positive_rate"] = _plain(wilson(positives, truth.size)), ""
        try:
            area = hanley_mcneil(auc(scores, truth), positives, truth.size - positives)
            found["auc"] = _plain(area), ""
        except OneClassError as error:
            found["auc"] = None, str(error)
    else:
        chosen = scores[np.arange(truth.size), truth.astype(np.int64)]
    found["log_loss"] = _mean(-np.log(np.clip(chosen, 1e-15, 1.0))), ""
    return found


def _regression(scores: Floats, truth: Floats) -> dict[str, tuple[dict[str, Any] | None, str]]:
    errors = truth - scores[:, 0]
    squares = _mean(errors**2)
    ends = {key: _root(squares[key]) for key in ("estimate", "low", "high")}
    return {
        "mae": (_mean(np.abs(errors)), ""),
        "rmse": ({**squares, **ends}, ""),
        "bias": (_mean(-errors), ""),
    }


def _root(square: float | None) -> float | None:
    return None if square is None else math.sqrt(max(square, 0.0))


def _mean(values: Floats) -> dict[str, Any]:
    """Return a mean with its interval; one row has no scatter, so its interval has no ends."""
    try:
        return _plain(mean_interval(values))
    except TooFewError:
        return {"estimate": float(values.mean()), "low": None, "high": None, "n": values.size}


def _coverage(labelled: int, rows: int) -> dict[str, Any]:
    if rows < 1:
        return {"estimate": 0.0, "low": None, "high": None, "n": 0}
    return _plain(wilson(min(labelled, rows), rows))


def _plain(interval: Interval) -> dict[str, Any]:
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
    }


def _versions(frame: pl.DataFrame) -> set[int]:
    found: set[int] = set()
    for name in ("_version", "_other_version"):
        if name in frame.columns:
            found |= {int(v) for v in frame[name].drop_nulls().unique().to_list()}
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
