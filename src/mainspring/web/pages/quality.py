"""Read how well versions did out of windows: one metric with its interval, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.ground.objects import Window

#: Of these, more is better; of all others, less.
_MORE_IS_BETTER = frozenset({"auc", "accuracy", "positive_rate"})
_NAMES = {
    "loss": "mean loss",
    "auc": "AUC",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "bias": "bias",
    "positive_rate": "share of positives",
}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one version in one window."""

    start: float
    end: float
    version: int | None
    value: float
    low: float | None
    high: float | None
    rows: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the champion does now beside how it did when it was made."""

    metric: str
    now: Point | None
    before: float | None  #: on its holdout
    verdict: str  #: as good, worse, better, or why it is not known
    tone: str


def name_of(metric: str) -> str:
    """Return how a metric is called."""
    return _NAMES.get(metric, metric.replace("_", " "))


def metrics_of(windows: Sequence[Window]) -> list[str]:
    """Return the metrics that any window has, the loss first."""
    found = {name: None for window in windows for name in _cells(window.performance)}
    return sorted(found, key=lambda name: (name != "loss", name != "auc", name))


def points(windows: Sequence[Window], metric: str) -> list[Point]:
    """Return a metric of the champion, oldest first; windows without labels have no point."""
    found = [_point(window, window.performance, metric, window.version) for window in windows]
    return sorted((p for p in found if p is not None), key=lambda point: point.start)


def challenger_points(windows: Sequence[Window], metric: str) -> list[Point]:
    """Return a metric of the versions that were scored beside the champion, oldest first."""
    found = []
    for window in windows:
        others = (window.performance or {}).get("by_version")
        for number, cells in (others if isinstance(others, dict) else {}).items():
            if number != str(window.version) and str(number).isdecimal():
                found.append(_point(window, cells, metric, int(number)))
    return sorted((p for p in found if p is not None), key=lambda point: point.start)


def standing(windows: Sequence[Window], champion: int | None) -> Standing:
    """Return how the champion does now beside how it did when it was made."""
    mature = [w for w in windows if w.performance and w.version == champion]
    newest = max(mature, key=lambda window: window.end, default=None)
    known = points([newest], "loss") if newest is not None else []
    now = known[0] if known else None
    before = (newest.performance or {}).get("baseline_loss") if newest is not None else None
    said, tone = _compare(now, before, (newest.performance or {}) if newest is not None else {})
    return Standing(metric="loss", now=now, before=before, verdict=said, tone=tone)


def _compare(
    now: Point | None, before: float | None, performance: dict[str, Any]
) -> tuple[str, str]:
    if now is None:
        return "No labels of this version are mature yet.", "grey"
    if before is None or now.low is None or now.high is None:
        return "There is nothing to compare with.", "grey"
    if performance.get("verdict") == "alarm":
        return "Worse than at promotion.", "amber"
    if now.low > before:
        return "A little worse than at promotion, within what is tolerated.", "grey"
    if now.high < before:
        return "Better than at promotion.", "green"
    return "As good as at promotion.", "green"


def more_is_better(metric: str) -> bool:
    """Return whether more of a metric is better."""
    return metric in _MORE_IS_BETTER


def _cells(performance: dict[str, Any] | None) -> dict[str, Any]:
    held = performance or {}
    inner = held.get("metrics")
    found = dict(inner) if isinstance(inner, dict) else {}
    if isinstance(held.get("loss"), dict):
        found["loss"] = held["loss"]
    return {name: cell for name, cell in found.items() if isinstance(cell, dict)}


def _point(
    window: Window, performance: dict[str, Any] | None, metric: str, version: int | None
) -> Point | None:
    cell = _cells(performance).get(metric, {})
    value = cell.get("estimate", cell.get("value"))
    if value is None:
        return None
    return Point(
        start=window.start,
        end=window.end,
        version=version,
        value=value,
        low=cell.get("low"),
        high=cell.get("high"),
        rows=int(cell.get("n") or window.labelled),
    )
