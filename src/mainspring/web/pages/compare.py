"""The page that compares runs: what differs, how the metrics lie, and pictures of both."""

from __future__ import annotations

import math
from typing import Any

from mainspring.ground.objects import RunStatus
from mainspring.web.pages import beside_steps, bests, figures, parallel, words
from mainspring.web.pages.axes import axis_of, number_in
from mainspring.web.pages.curves import SYSTEM
from mainspring.web.pages.fields import Asked
from mainspring.web.pages.matrix import Matrix, title_of
from mainspring.web.pages.runs import found_by
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.beside import Beside

#: Up to so many runs stand side by side as columns; more stand below each other, the best first.
BESIDE = 8
_MOST = 300
_AXES, _MOST_AXES = 8, 24
_SCATTER_HEIGHT = 340


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return the comparison of the runs named, or of those that a filter finds.

    Raises:
        BadInputError: naming what of the filter cannot be read.
    """
    found, note = chosen(ws, asked)
    matrix = Matrix(found)
    by = coloured_by(asked, matrix)
    if len(matrix.runs) > BESIDE and by is not None:
        matrix.rank(by)
    axes = matrix.axes()
    shown = _drawn(asked, matrix, axes, by)
    painted = colours(matrix, by)
    lines = [
        parallel.Line(run=run.id, name=run.name, colour=painted[run.id].lstrip("-"))
        for run in matrix.runs
    ]
    pair = sorted(matrix.runs, key=lambda run: run.started)
    return {
        "runs": matrix.runs,
        "matrix": matrix,
        "colours": {run: colour.lstrip("-") for run, colour in painted.items()},
        "note": note,
        "missing": found.missing,
        "deleted": set(found.deleted),
        "experiments": found.experiments,
        "running": any(run.status is RunStatus.RUNNING for run in matrix.runs),
        "beside": len(matrix.runs) <= BESIDE,
        "steps": beside_steps.rows(ws, pair),
        "pair": pair,
        "by": by,
        "axes": axes,
        "axes_shown": shown,
        "picture": parallel.draw(lines, {title_of(axis): matrix.column(axis) for axis in shown})
        if len(lines) > 1 and shown
        else None,
        "kept": [(k, v) for k, v in asked.pairs if k not in ("axis", "by", "part", "figure")],
    }


def chosen(ws: Workspace, asked: Asked) -> tuple[Beside, str]:
    """Return the runs to compare, and what is to be said of how they were chosen."""
    from mainspring.workspace.views.beside import beside

    several = [one for text in asked.several("runs") for one in text.split(",") if one.strip()]
    ids = list(dict.fromkeys([*asked.several("run"), *(one.strip() for one in several)]))
    more = len(ids) > _MOST
    if not ids and {"filter", "experiment", "status"} & set(asked):
        ids, more = found_by(ws, asked, _MOST)
    return beside(ws, ids, (SYSTEM,)), f"The first {_MOST} are shown." if more else ""


def coloured_by(asked: Asked, matrix: Matrix) -> str | None:
    """Return the metric by which runs are coloured: as asked for, else the one that counts."""
    keys = list(matrix.metrics)
    if asked.get("by") in keys:
        return asked["by"]
    known = [key for key in keys if bests.highest_is_best(key) is not None]
    declared = [key for key in matrix.declared if key in keys]
    return next(iter([*declared, *known, *keys]), None)


def colours(matrix: Matrix, by: str | None) -> dict[str, str]:
    """Return the colour of each run: its own if they are few, else how good it is."""
    if len(matrix.runs) <= figures.VERSION_COLOURS:
        return {run.id: figures.colour_of(n) for n, run in enumerate(matrix.runs)}
    if by is None:
        return {run.id: "--grey" for run in matrix.runs}
    shades = parallel.shades(matrix.column(f"metrics.{by}"), highest=matrix.highest(by))
    return {
        run.id: "--grey" if shade is None else f"--r{shade}"
        for run, shade in zip(matrix.runs, shades, strict=True)
    }


def _drawn(asked: Asked, matrix: Matrix, axes: list[str], by: str | None) -> list[str]:
    """Return the axes that are drawn: those asked for, else params first, the colour last."""
    named = [axis for axis in dict.fromkeys(asked.several("axis")) if axis in axes]
    last = [] if by is None else [f"metrics.{by}"]
    if not named:
        params = [axis for axis in axes if axis.startswith("params.")][: _AXES - 2]
        moving = [key for key in matrix.metrics if key != by and matrix.moves(key)]
        room = max(1, _AXES - 1 - len(params))
        named = params + [f"metrics.{key}" for key in moving[: min(3, room)]] + last
    elif last and last[0] in named:
        named = [axis for axis in named if axis not in last] + last
    return named[:_MOST_AXES]


def scatter_figure(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return one param or metric against another, a mark a run."""
    found, _ = chosen(ws, asked)
    matrix = Matrix(found)
    by = coloured_by(asked, matrix)
    axes = matrix.axes()
    x = asked["across"] if asked.get("across") in axes else next(iter(axes), None)
    y = asked["up"] if asked.get("up") in axes else f"metrics.{by}"
    if x is None or y not in axes:
        return figures.empty("There is nothing yet to set against each other.")
    options = {"across": x, "up": y}
    dots = _dots(matrix, x, y, colours(matrix, by))
    if not dots["x"]:
        return {**figures.empty("No run has both."), "options": options}
    layout = figures.layout(_SCATTER_HEIGHT, xaxis=_axis(matrix, x), yaxis=_axis(matrix, y))
    return {"data": [dots], "layout": layout, "options": options}


def _axis(matrix: Matrix, axis: str) -> dict[str, Any]:
    plotly = {"linear": "linear", "log": "log", "words": "category"}
    kind = plotly[axis_of(matrix.column(axis)).kind]
    sparse = {"dtick": 1} if kind == "log" else {}
    return figures.axis(title=figures.titled(title_of(axis)), type=kind, **sparse)


def _dots(matrix: Matrix, x: str, y: str, painted: dict[str, str]) -> dict[str, Any]:
    runs, spots = matrix.runs, {axis: _spots(matrix, axis) for axis in (x, y)}
    both = [n for n in range(len(runs)) if spots[x][n] is not None and spots[y][n] is not None]
    told = {axis: matrix.column(axis) for axis in (x, y)}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [spots[x][n] for n in both],
        "y": [spots[y][n] for n in both],
        "marker": {
            "size": 9,
            "color": [painted[runs[n].id] for n in both],
            "line": {"width": 1, "color": "--card"},
        },
        "text": [
            figures.said(
                f"{runs[n].name}: {title_of(x)} {words.figure(told[x][n])},"
                f" {title_of(y)} {words.figure(told[y][n])}"
            )
            for n in both
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _spots(matrix: Matrix, axis: str) -> list[float | str | None]:
    """Return the values of a column as a chart can place them."""
    column = matrix.column(axis)
    if axis_of(column).kind == "words":
        return [None if value is None else figures.said(words.clip(value, 40)) for value in column]
    numbers = [number_in(value) for value in column]
    return [n if n is not None and math.isfinite(n) else None for n in numbers]
