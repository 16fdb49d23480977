"""The drift page of an endpoint: every column in every window, one of them looked at closely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.objects import Finding, Window
from mainspring.web.pages import drift, figures, watched, words
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.watched import Watched
from mainspring.workspace.opening import Workspace
from mainspring.workspace.reports import charts

_CHECKS = ("missing", "wrong type", "out of range", "unseen category")
_COLOURS = ("--accent", "--amber", "--violet", "--teal")


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the drift page shows: a window and a column are chosen by the address.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.views.endpoints import endpoint_board

    board = endpoint_board(ws, asked["name"])
    seen = watched.watched(ws, board.name)
    window = seen.named(asked.get("window"))
    found = seen.of(window)
    column = chosen(found, asked.get("column", ""))
    ordered = seen.oldest_first
    place, before, after = watched.stepped(ordered, window)
    return {
        "board": board,
        "heat": drift.heat(seen, asked.get("find", ""), column),
        "find": asked.get("find", ""),
        "window": window,
        "place": place,
        "before": before,
        "after": after,
        "column": column,
        "columns": [one.subject for one in _ranked(found)],
        "drift": next((one for one in _ranked(found) if one.subject == column), None),
        "ranked": _ranked(found)[:12],
        "checks": [
            one for one in found if one.monitor == "quality" and drift.column_of(one) == column
        ],
        "joint": watched.worst_first(one for one in found if one.monitor == "joint"),
        "reach": watched.reach,
        "check_of": drift.check_of,
        "query": lambda **changed: watched.query(asked, **changed),
    }


def _ranked(found: list[Finding]) -> list[Finding]:
    """Return the columns of a window, those first that are furthest beyond what matters."""
    moved = [one for one in found if one.monitor in drift.MONITORS]
    return sorted(
        watched.worst_first(moved),
        key=lambda one: (one.verdict != "alarm", one.verdict != "notice",
                         -(watched.reach(one) or 0.0)),
    )  # fmt: skip


def chosen(found: list[Finding], asked: str) -> str:
    """Return the column asked for, or the one of a window that is furthest off."""
    ranked = _ranked(found)
    if asked or not ranked:
        return asked
    return ranked[0].subject


def distances(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return the distance of the chosen column by window, the chosen window marked."""
    seen, window, column = _asked(ws, asked)
    figure = drift.draw(seen, column, window)
    # Here the address says which column it is; the script would keep to what a figure says.
    return {key: value for key, value in figure.items() if key != "column"}


def distribution(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return the chosen column in the chosen window laid over its baseline."""
    from mainspring.workspace.reports.of_window import window_distributions

    _, window, column = _asked(ws, asked)
    if window is None:
        return figures.empty("No window has been judged yet.")
    laid, why = window_distributions(ws, asked["name"], window.id, [column])
    if column not in laid:
        return figures.empty(why or "This column is not there in the rows of this window.")
    span = f"{words.day(window.start)} to {words.day(window.end)}"
    return charts.overlaid(laid[column], column, ("at training", span))


def rates(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return the shares of missing, strange and unseen values of the chosen column over time."""
    seen, window, column = _asked(ws, asked)
    lines: list[Figure] = []
    for check, colour in zip(_CHECKS, _COLOURS, strict=True):
        spots = [
            spot
            for spot in seen.series("quality", f"{column}/{check}")
            if spot.found.value is not None
        ]
        if not spots:
            continue
        times = [drift.middle(spot.window) for spot in spots]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": times,
                "y": [spot.found.value for spot in spots],
                "name": check,
                "line": {"color": colour, "width": 2},
                "marker": {"size": 5, "color": colour},
                "text": [drift.told(spot) for spot in spots],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
        usual = [spot.found.baseline for spot in spots]
        if any(usual):
            lines.append({**drift.line(times, usual, f"{check} at training", colour, "dot")})
    if not lines:
        return figures.empty("No check of quality looked at this column.")
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled(f"share of the rows, {column}"), tickformat=".1%",
            rangemode="tozero", fixedrange=True,
        ),
    }  # fmt: skip
    marked = [] if window is None else [drift.mark(window)]
    shape = figures.layout(260, showlegend=True, legend=drift.LEGEND, shapes=marked, **axes)
    return {"data": lines, "layout": shape}


def _asked(ws: Workspace, asked: Mapping[str, str]) -> tuple[Watched, Window | None, str]:
    seen = watched.watched(ws, asked["name"])
    window = seen.named(asked.get("window"))
    return seen, window, chosen(seen.of(window), asked.get("column", ""))
