"""Gather what is shown of monitoring: windows, alarms, and series over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainspring.ground.objects import Alarm, Decision, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.readiness import decisions
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import Series, SeriesPoint


def window_list(ws: Workspace, endpoint: str, limit: int = 100) -> list[Window]:
    """Return an endpoint's windows, newest first.

    Raises:
        NotFoundError: if there is no such endpoint.
    """

    def work(tx: Tx) -> list[Window]:
        endpoints.get(tx, endpoint)
        return windows.list_windows(tx, endpoint, limit=limit)

    return ws.read(Permission.READ, work)


def drift_series(
    ws: Workspace, endpoint: str, column: str | None = None, limit: int = 100
) -> list[Series]:
    """Return how far each column was from the baseline, window by window, oldest first.

    Each point states distance, radius and the smallest shift that window could have seen.
    """
    found = window_list(ws, endpoint, limit)
    return _series(found, lambda window: window.drift, column)


def missing_series(
    ws: Workspace, endpoint: str, column: str | None = None, limit: int = 100
) -> list[Series]:
    """Return what the quality checks found of each column, window by window, oldest first."""
    found = window_list(ws, endpoint, limit)
    return _series(found, lambda window: window.quality, column)


def quality_series(ws: Workspace, endpoint: str, limit: int = 100) -> list[Series]:
    """Return how well the champion did, metric by metric, window by window, oldest first.

    Only windows whose labels are mature have a point.
    """
    found = window_list(ws, endpoint, limit)
    by_metric: dict[str, list[SeriesPoint]] = {}
    for window in reversed(found):
        for metric, values in _metrics(window.performance or {}).items():
            by_metric.setdefault(metric, []).append(_point(window, values))
    return [Series(name=name, points=points) for name, points in by_metric.items()]


def alarm_list(
    ws: Workspace, endpoint: str | None = None, *, open_only: bool | None = None, limit: int = 100
) -> list[Alarm]:
    """Return alarms, newest first; ``open_only`` None means open and ended alike."""

    def work(tx: Tx) -> list[Alarm]:
        if open_only:
            return alarms.open_alarms(tx, endpoint)[::-1][:limit]
        found = alarms.list_alarms(tx, endpoint, limit=limit)
        return found if open_only is None else [one for one in found if one.outcome is not None]

    return ws.read(Permission.READ, work)


def alarm(ws: Workspace, name: str) -> Alarm:
    """Return one alarm.

    Raises:
        NotFoundError: if there is none by that id.
    """
    return ws.read(Permission.READ, lambda tx: alarms.get(tx, name))


def decisions_about(ws: Workspace, alarm: Alarm, limit: int = 20) -> list[Decision]:
    """Return what an endpoint's loop decided from an alarm on until the alarm ended, in order.

    Dismissals of other alarms are left out.
    """

    def work(tx: Tx) -> list[Decision]:
        loop = next(
            (e.loop for e in endpoints.list_endpoints(tx) if e.name == alarm.endpoint), None
        )
        return [] if loop is None else decisions.list_decisions(tx, loop=loop, limit=500)

    found = [one for one in ws.read(Permission.READ, work)[::-1] if one.at >= alarm.raised]
    ids = [one.id for one in found]
    if alarm.decision in ids:
        found = found[: ids.index(alarm.decision) + 1]
    mine = f"alarm:{alarm.id}"
    return [one for one in found if one.kind != "dismiss" or one.subject == mine][:limit]


def _series(
    found: Sequence[Window],
    rows_of: Callable[[Window], list[dict[str, Any]]],
    column: str | None,
) -> list[Series]:
    by_column: dict[str, list[SeriesPoint]] = {}
    for window in reversed(found):
        for row in rows_of(window):
            name = str(row.get("column", row.get("name", "")))
            if column is None or name == column:
                by_column.setdefault(name, []).append(_point(window, row))
    return [Series(name=name, points=points) for name, points in by_column.items()]


def _metrics(performance: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each metric with its interval, however deep the record keeps them."""
    inner = {"loss": performance.get("loss"), **performance.get("metrics", performance)}
    out: dict[str, dict[str, Any]] = {}
    for name, value in inner.items():
        if isinstance(value, dict):
            out[name] = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[name] = {"value": value}
    return out


def _point(window: Window, values: dict[str, Any]) -> SeriesPoint:
    return SeriesPoint(
        window=window.id,
        start=window.start,
        end=window.end,
        rows=window.rows,
        version=window.version,
        values=values,
    )
