"""Compare the model that never changed with the loop, month by month, on the same rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mainspring.numerics.intervals import block_difference, delong_difference
from mainspring.numerics.scores import auc, log_loss

Floats = npt.NDArray[np.float64]
#: Flights belong to the month that their passengers call it by.
NEW_YORK = ZoneInfo("America/New_York")


def compare(times: Floats, target: Floats, static: Floats, loop: Floats) -> dict[str, Any]:
    """Return both policies' quality, by month and in all, with intervals of their difference.

    All four have shape (rows,): event time in UTC seconds, the label 0 or 1, and the
    probability that the static first version and that the loop gave to the same row. The
    interval of the log loss takes days as blocks, since flights of a day share their weather.
    """
    months = np.array([datetime.fromtimestamp(t, NEW_YORK).strftime("%Y-%m") for t in times])
    difference = delong_difference(target, loop, static)
    per_row = _row_log_loss(target, static) - _row_log_loss(target, loop)
    saved = block_difference(per_row, (times // 86_400).astype(np.int64))
    return {
        "static": {**_quality(target, static), "by_month": _by_month(months, target, static)},
        "loop": {**_quality(target, loop), "by_month": _by_month(months, target, loop)},
        "auc_gain": _interval(difference),
        "log_loss_saved": _interval(saved),
        "rows": len(target),
    }


def _quality(target: Floats, scores: Floats) -> dict[str, float]:
    return {
        "auc": round(auc(scores, target), 5),
        "log_loss": round(log_loss("binary", scores.reshape(-1, 1), target), 5),
    }


def _by_month(months: npt.NDArray[Any], target: Floats, scores: Floats) -> list[dict[str, Any]]:
    found = []
    for month in sorted(set(months.tolist())):
        here = months == month
        found.append(
            {"month": month, "rows": int(here.sum()), **_quality(target[here], scores[here])}
        )
    return found


def _row_log_loss(target: Floats, scores: Floats) -> Floats:
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    losses: Floats = -(target * np.log(clipped) + (1 - target) * np.log1p(-clipped))
    return losses


def _interval(found: Any) -> dict[str, float]:
    return {
        "estimate": round(found.estimate, 5),
        "low": round(found.low, 5),
        "high": round(found.high, 5),
    }
