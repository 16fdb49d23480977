"""The chart of one metric of several runs, a line a run."""

from __future__ import annotations

from typing import Any

from mainspring.web.pages import compare, figures
from mainspring.web.pages.curves import POINTS, choice_of, finite, layout, xs
from mainspring.web.pages.fields import Asked
from mainspring.web.pages.matrix import Matrix
from mainspring.workspace.opening import Workspace

#: Points of all lines of an overlay together: drawing more takes a browser too long.
_MOST_POINTS = 24_000
_HEIGHT = 380
_NAMED = 8  # lines: with more, colours say how good, not which


def figure(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return one metric of several runs, a line a run, coloured as the comparison colours them."""
    from mainspring.workspace.views.curves import overlay

    matrix = Matrix(compare.chosen(ws, asked)[0])
    if not matrix.metrics:
        return figures.empty("None of these runs has logged a metric.")
    by = compare.coloured_by(asked, matrix)
    key = asked.get("metric", "")
    key = key if key in matrix.metrics else by or next(iter(matrix.metrics))
    choice = choice_of(asked)
    values = matrix.column(f"metrics.{key}")
    several = [run for run, value in zip(matrix.runs, values, strict=True) if value is not None]
    points = max(40, min(POINTS, _MOST_POINTS // max(1, len(several))))
    curves = overlay(ws, [run.id for run in several], key, points=points)
    colours = compare.colours(matrix, by)
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(curves[run.id]) < 3 else "lines",
            "x": xs(curves[run.id], run.started, choice),
            "y": [finite(point.value) for point in curves[run.id]],
            "line": {
                "color": colours[run.id],
                "width": 2 if len(several) <= _NAMED else 1.2,
            },
            "name": figures.said(run.name, 40),
            "text": figures.said(run.name),
            "hovertemplate": "%{text}<br>%{y:.5g}<extra></extra>",
        }
        for run in several
        if curves[run.id]
    ]
    every = [point for run in several for point in curves[run.id]]
    options = {"metric": key, "x": choice.x, "y": choice.y}
    return {"data": lines, "layout": layout(_HEIGHT, choice, every), "options": options}
