"""The pages of runs: all of them, and one with its steps, reasons, params and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from mainspring.web.pages import figures, words
from mainspring.workspace.opening import Workspace

_RUNS = 50
_POINTS = 5000


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of runs, newest first.

    Raises:
        BadInputError: for an unknown status or a broken cursor.
    """
    from mainspring.workspace.views.searching import run_page

    status, cursor = asked.get("status") or None, asked.get("cursor") or None
    page = run_page(ws, status=status, cursor=cursor, limit=_RUNS)
    return {"runs": page.runs, "cursor": page.cursor, "status": status, "now": ws.clock.now()}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one run with its graph and steps.

    Raises:
        NotFoundError: if there is no such run.
    """
    from mainspring.workspace.views import runs

    found = runs.run_detail(ws, asked["run"])
    return {
        "run": found.run,
        "steps": found.steps,
        "versions": found.versions,
        "graph": Markup(runs.run_graph(ws, asked["run"])) if found.steps else None,  # noqa: S704
        "now": ws.clock.now(),
    }


def metric_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return how one metric of a run went, by step.

    Raises:
        NotFoundError: if there is no such run.
    """
    from mainspring.workspace.views import runs

    detail = runs.run_detail(ws, asked["run"])
    known = sorted(detail.run.metrics)
    if not known:
        return figures.empty("No metric was logged.")
    key = asked.get("metric", "")
    key = key if key in known else known[0]
    points = runs.run_metric(ws, asked["run"], key, limit=_POINTS).points
    curve = {
        "type": "scatter",
        "mode": "lines+markers" if len(points) < 200 else "lines",
        "x": [point.step for point in points],
        "y": [point.value for point in points],
        "line": {"color": "--accent", "width": 2},
        "marker": {"size": 6, "color": "--accent"},
        "text": [figures.said(f"{key} {words.figure(point.value)}") for point in points],
        "hovertemplate": "%{text}<br>step %{x}<extra></extra>",
    }
    axes = {
        "xaxis": figures.axis(title=figures.titled("step")),
        "yaxis": figures.axis(title=figures.titled(key)),
    }
    return {"data": [curve], "layout": figures.layout(260, **axes)}
