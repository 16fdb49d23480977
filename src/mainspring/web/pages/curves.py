"""Charts of metrics: small ones side by side for one run, one with a line a run for several."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mainspring.experiments.metrics import Point
from mainspring.web.pages import figures, words
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace

#: So many metrics of a run are drawn at first, and at most so many at once.
CHARTS, MOST_CHARTS = 6, 24
#: Points of a line that reach the browser: a chart is about so many pixels wide.
POINTS = 600
SYSTEM = "system/"
_MANY = 200  # below it each point gets its mark
_HEIGHT = 210


class Choice(msgspec.Struct, frozen=True):
    """How curves are drawn."""

    x: str = "step"  #: or time
    y: str = "linear"  #: or log


def is_system(key: str) -> bool:
    """Return whether a metric was measured of the machine, not logged by the script."""
    return key.startswith(SYSTEM)


def choice_of(asked: Asked) -> Choice:
    """Return how curves are asked to be drawn; anything unknown counts as not said."""
    x, y = asked.get("x", ""), asked.get("y", "")
    return Choice(
        x if x in ("step", "time") else "step", y if y in ("linear", "log") else "linear"
    )


def of_run(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return the chosen metrics of a run as small charts: those asked for, or the first few.

    Raises:
        NotFoundError: if there is no such run.
    """
    from mainspring.workspace.views.curves import run_curves

    system = asked.get("system") == "yes"
    choice = Choice("time", "linear") if system else choice_of(asked)
    wanted = asked.several("key")[:MOST_CHARTS]
    found = run_curves(
        ws,
        asked["run"],
        wanted,
        lambda key: is_system(key) is system,
        most=MOST_CHARTS if system else CHARTS,
        points=POINTS,
    )
    panels = [_panel(key, points, found.started, choice) for key, points in found.curves.items()]
    options = {"x": choice.x, "y": choice.y}
    if not panels:
        return {**figures.empty("No metric was logged yet."), "options": options}
    return {"panels": panels, "options": options}


def _panel(key: str, points: list[Point], started: float, choice: Choice) -> dict[str, Any]:
    marks = len(points) < _MANY
    line = {
        "type": "scatter",
        "mode": "lines+markers" if marks else "lines",
        "x": xs(points, started, choice),
        "y": [finite(point.value) for point in points],
        "line": {"color": "--accent", "width": 1.8},
        "marker": {"size": 4 if len(points) > 1 else 8, "color": "--accent"},
        "text": [told(point, started, choice) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
    }
    looks = layout(_HEIGHT, choice, points)
    return {"title": key.removeprefix(SYSTEM), "data": [line], "layout": looks}


def layout(height: int, choice: Choice, points: list[Point] | None = None) -> dict[str, Any]:
    """Return the layout of a chart of curves."""
    title = "step" if choice.x == "step" else "since the start, in seconds"
    # A logarithm of nothing positive would leave an empty chart without a word.
    log = choice.y == "log" and (points is None or any(p.value > 0 for p in points))
    return figures.layout(
        height,
        margin={"l": 8, "r": 14, "t": 8, "b": 34},
        xaxis=figures.axis(title=figures.titled(title), nticks=6),
        yaxis=figures.axis(type="log" if log else "linear", nticks=5),
    )


def xs(points: list[Point], started: float, choice: Choice) -> list[float]:
    """Return where points stand from left to right."""
    if choice.x == "time":
        return [round(point.time - started, 3) for point in points]
    return [point.step for point in points]


def told(point: Point, started: float, choice: Choice) -> str:
    """Return a point in words for the hover."""
    where = words.lasting(point.time - started) if choice.x == "time" else f"step {point.step:,}"
    return figures.said(f"{words.figure(point.value)} at {where}")


def finite(value: float) -> float | None:
    """Return a value that a chart can show: JSON knows neither NaN nor the infinities."""
    return value if math.isfinite(value) else None
