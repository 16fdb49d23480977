"""Estimate how good the answers of a window are before any of its labels has come.

An early warning and no measurement: all of it assumes that the relation between inputs and
target is the one of training, and where that has changed it is too good. So it gives notices at
most, no gate asks for it, and it carries its own past: beside each estimate stands what labels
last said, and from three labelled windows on its band is that of its own past errors.

Classification by CBPE (calibrated on the rows kept at training), accuracy by ATC and DoC too;
regression by DLE, trees that learnt the size of the error from inputs and prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Finding, Window
from mainspring.monitoring.columns import scores_of
from mainspring.monitoring.errors_learnt import expected_errors
from mainspring.monitoring.graded import Graded, graded_reference
from mainspring.monitoring.measures import measures
from mainspring.monitoring.sight import Sight
from mainspring.numerics.calibration import Isotonic
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.estimates import (
    atc,
    calibrate,
    cbpe,
    doc,
    expected_share,
    next_error,
)
from mainspring.numerics.scores import HIGHER_IS_BETTER

Floats = npt.NDArray[np.float64]

ASSUMES = "It assumes that the relation between inputs and target has not changed."
#: Rows an estimate is made of at most: what more would add is far below what it may be wrong by.
MOST_ROWS = 100_000
#: Whose realised value an estimate of another way is compared with.
_SAME = {"accuracy_atc": "accuracy", "accuracy_doc": "accuracy"}
_RISES_WHEN_WORSE = {name for name, better in HIGHER_IS_BETTER.items() if not better}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and what the draw of so many rows allows where that is known."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


def estimates(sight: Sight) -> list[Finding]:
    """Return how good a window's answers are by estimate; notices at most."""
    kept = graded_reference(sight.reference, sight.signature)
    scores, taken = scores_of(sight.frame, sight.version)
    sound = np.isfinite(scores).all(axis=1)
    rows = int(sound.sum())
    least = max(sight.policy.min_rows, 2)
    if kept is None or kept.rows < least or rows < least:
        short = kept is not None and kept.rows >= least
        why = (
            f"{rows:,} rows of this version, {least:,} are needed."
            if short
            else f"the version has fewer than {least:,} rows with known truth of its own."
        )
        return [
            Finding(
                monitor="estimate",
                subject="loss",
                value=None,
                rows=rows,
                verdict="too few rows" if short else "not judged",
                why=f"Not estimated: {why}",
            )
        ]
    frame = sight.frame.filter(pl.Series(taken)).filter(pl.Series(sound))
    found = _estimated(sight, kept, *_fewer(scores[sound], frame))
    before, _ = measures(kept.scores, kept.truth, kept.losses, sight.signature)
    usual = {name: part["estimate"] for name, part in before.items()}
    usual["loss"] = sight.baseline.loss
    return [_finding(sight, name, one, usual, rows) for name, one in found.items()]


def _fewer(scores: Floats, frame: pl.DataFrame) -> tuple[Floats, pl.DataFrame]:
    """Return at most :data:`MOST_ROWS` rows, taken evenly.

    Of a single score they are its quantiles, so that the order of rows does not matter; rows of
    several scores are taken as they come.
    """
    if frame.height <= MOST_ROWS:
        return scores, frame
    taken = np.linspace(0, frame.height - 1, MOST_ROWS).astype(np.int64)
    if scores.shape[1] == 1:
        taken = np.argsort(scores[:, 0])[taken]
    return scores[taken], frame[taken]


def _estimated(
    sight: Sight, kept: Graded, scores: Floats, frame: pl.DataFrame
) -> dict[str, Estimate]:
    try:
        if sight.signature.kind == "binary":
            return _binary(kept, scores[:, 0])
        if sight.signature.kind == "multiclass":
            return _classes(kept, scores)
        return _regression(sight, kept, scores[:, 0], frame)
    except NumericsError as error:
        return {"loss": Estimate(None, why=f"Not estimated: {error}")}


def _binary(kept: Graded, score: Floats) -> dict[str, Estimate]:
    known, truth = kept.scores[:, 0], kept.truth
    found = cbpe(calibrate(known, truth).at(score), score)
    right = ((known >= 0.5) == (truth == 1)).astype(np.float64)
    sure, now = np.maximum(known, 1 - known), np.maximum(score, 1 - score)
    return {
        "loss": _banded(found.brier),
        "accuracy": _banded(found.accuracy),
        "log_loss": _banded(found.log_loss),
        "auc": Estimate(found.auc),
        "precision": Estimate(found.precision),
        "recall": Estimate(found.recall),
        "f1": Estimate(found.f1),
        "accuracy_atc": Estimate(atc(sure, right, now)),
        "accuracy_doc": Estimate(doc(sure, right, now)),
    }


def _classes(kept: Graded, scores: Floats) -> dict[str, Estimate]:
    """Calibrate each class against the rest, then let the probabilities of a row sum to one."""
    width = scores.shape[1]
    lines: list[Isotonic] = [
        calibrate(kept.scores[:, c], (kept.truth == c).astype(np.float64)) for c in range(width)
    ]
    chances = np.column_stack([line.at(scores[:, c]) for c, line in enumerate(lines)])
    chances /= chances.sum(axis=1, keepdims=True)
    said = scores.argmax(axis=1)
    squares = (scores**2).sum(axis=1, keepdims=True)
    losses = np.minimum((squares - 2 * scores + 1) / 2, 1.0)  # if that class is the true one
    surprise = -np.log(np.clip(scores, 1e-15, 1.0))
    rows = np.arange(said.size)
    right = (kept.scores.argmax(axis=1) == kept.truth).astype(np.float64)
    sure, now = kept.scores.max(axis=1), scores.max(axis=1)
    return {
        "loss": _banded(expected_share(np.clip((chances * losses).sum(axis=1), 0, 1))),
        "accuracy": _banded(expected_share(chances[rows, said])),
        "log_loss": Estimate(float((chances * surprise).sum(axis=1).mean())),
        "accuracy_atc": Estimate(atc(sure, right, now)),
        "accuracy_doc": Estimate(doc(sure, right, now)),
    }


def _regression(
    sight: Sight, kept: Graded, said: Floats, frame: pl.DataFrame
) -> dict[str, Estimate]:
    errors = np.abs(kept.truth - kept.scores[:, 0])
    names = [column.name for column in sight.signature.columns if column.name in frame.columns]
    known = [name for name in names if name in kept.frame.columns]
    expected = expected_errors(
        (kept.frame.select(known), kept.scores[:, 0]),
        {"mae": errors, "rmse": errors**2, "loss": kept.losses},
        (frame.select(known), said),
    )
    return {
        "loss": Estimate(float(np.clip(expected["loss"], 0, 1).mean())),
        "mae": Estimate(float(np.maximum(expected["mae"], 0).mean())),
        "rmse": Estimate(float(np.sqrt(np.maximum(expected["rmse"], 0).mean()))),
    }


def _banded(interval: Any) -> Estimate:
    return Estimate(interval.estimate, interval.low, interval.high)


def _finding(sight: Sight, name: str, one: Estimate, usual: dict[str, Any], rows: int) -> Finding:
    base = usual.get(_SAME.get(name, name))
    if one.value is None:
        why = one.why or "Not estimated: these rows do not define it."
        return Finding(
            monitor="estimate",
            subject=name,
            value=None,
            rows=rows,
            verdict="not judged",
            why=why,
        )
    past, last = _past(sight.earlier, sight.version, name)
    low, high, told = one.low, one.high, "So many rows alone allow"
    detail: dict[str, Any] = {"assumes": ASSUMES, "last_realised": last, "past_errors": past}
    if len(past) >= 3:
        band = next_error([error for _, error in past])
        low, high = one.value + band.low, one.value + band.high
        detail["past_error"] = band.estimate
        told = f"It was {band.estimate:+.4f} off in {len(past)} labelled windows; that allows"
    line = None
    if name == "loss" and base is not None:
        line = base + sight.policy.loss_tolerance
    worse = line is not None and (one.value if low is None else low) > line
    said = "" if low is None or high is None else f" {told} {low:.4f} to {high:.4f}."
    known = "" if last is None else f" Labels last said {last['value']:.4f}."
    return Finding(
        monitor="estimate",
        subject=name,
        value=one.value,
        low=low,
        high=high,
        baseline=base,
        line=line,
        rows=rows,
        verdict="notice" if worse else "quiet",
        why=f"{name} is {one.value:.4f} by estimate.{said}{known} {ASSUMES}",
        detail=detail,
    )


def _past(
    earlier: Sequence[Window], version: int | None, name: str
) -> tuple[list[list[Any]], dict[str, Any] | None]:
    """Return (window, realised minus estimated) of past windows, and what was last realised."""
    past: list[list[Any]] = []
    last: dict[str, Any] | None = None
    for window in earlier:
        realised = _realised(window, _SAME.get(name, name))
        if window.version != version or realised is None:
            continue
        last = last or {"value": realised, "window": window.id, "at": window.end}
        past += [
            [window.id, realised - one.value]
            for one in window.found
            if (one.monitor, one.subject) == ("estimate", name) and one.value is not None
        ]
    return past, last


def _realised(window: Window, name: str) -> float | None:
    told = window.performance or {}
    part = told.get("loss") if name == "loss" else told.get("metrics", {}).get(name)
    return None if not part else part.get("estimate")
