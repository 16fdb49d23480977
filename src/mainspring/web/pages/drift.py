"""Show drift: a strip of verdicts, column by window, and one column's distances as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from mainspring.ground.objects import Window
from mainspring.web.pages import figures, words
from mainspring.web.pages.figures import Figure

_TONES = {"alarm": "--amber", "notice": "--blue", "quiet": "--accent"}
_UNSEEN = "too small for its window to see"
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
_STEPS = (0.25, 0.5, 0.75, 1.0)  # of the distance that matters: shades of a quiet cell


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One column in one window."""

    verdict: str
    shade: int  #: 0 to 4: how far, in quarters of what matters
    told: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One column over all windows, oldest first."""

    column: str
    share: float | None
    cells: list[Cell | None]
    worst: int  #: windows that alarmed


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """The strip: the columns that matter most first."""

    windows: list[Window]
    rows: list[Row]
    months: list[tuple[str, int]]  #: a heading and how many windows stand under it


def heat(found: Sequence[Window]) -> Heat:
    """Return the strip of verdicts, oldest window first."""
    ordered = sorted(found, key=lambda window: window.start)
    by_column: dict[str, dict[str, Mapping[str, Any]]] = {}
    for window in ordered:
        for cell in window.drift:
            by_column.setdefault(_name(cell), {})[window.id] = cell
    rows = [_row(name, cells, ordered) for name, cells in by_column.items()]
    rows.sort(key=lambda row: (row.column != "score", -(row.share or 0.0), row.column))
    return Heat(windows=ordered, rows=rows, months=_months(ordered))


def _months(ordered: Sequence[Window]) -> list[tuple[str, int]]:
    """Return a heading for each run of windows that end in one month."""
    spans = [(name, len(list(run))) for name, run in groupby(ordered, lambda w: _month(w.end))]
    years = {name.rpartition(" ")[2] for name, _ in spans}
    if len(years) == 1:  # then the year is said once, where it begins
        return [
            (name if n == 0 else name.partition(" ")[0], k) for n, (name, k) in enumerate(spans)
        ]
    return spans


def _month(seconds: float) -> str:
    return words.day(seconds).partition(" ")[2]


def _name(cell: Mapping[str, Any]) -> str:
    return str(cell.get("column", cell.get("name", "")))


def _row(name: str, cells: Mapping[str, Mapping[str, Any]], ordered: Sequence[Window]) -> Row:
    newest = list(cells.values())[-1]
    return Row(
        column=name,
        share=newest.get("share"),
        cells=[_cell(cells[w.id], w) if w.id in cells else None for w in ordered],
        worst=sum(1 for cell in cells.values() if cell.get("verdict") == "alarm"),
    )


def _cell(cell: Mapping[str, Any], window: Window) -> Cell:
    distance, line = cell.get("distance"), cell.get("line") or cell.get("smallest")
    reach = distance / line if distance is not None and line else 0.0
    told = f"{words.day(window.start)} to {words.day(window.end)}: {cell.get('verdict', '')}."
    return Cell(
        verdict=str(cell.get("verdict") or "quiet"),
        shade=sum(1 for step in _STEPS if reach >= step),
        told=f"{told} {cell.get('why', '')}".strip(),
    )


def findings(found: Sequence[Window]) -> list[dict[str, Any]]:
    """Return what the quality checks found that is not quiet, newest window first."""
    return [
        {"window": window, **row}
        for window in sorted(found, key=lambda one: -one.start)
        for row in window.quality
        if row.get("verdict") in ("alarm", "notice")
    ][:100]


def draw(found: Sequence[Window], column: str) -> Figure:
    """Return one column's distance by window, with what chance reaches and what matters."""
    strip = heat(found)
    names = [row.column for row in strip.rows]
    if not names:
        return figures.empty("No window has been judged yet.")
    name = column if column in names else names[0]
    pairs = [(w, c) for w in strip.windows for c in w.drift if _name(c) == name]
    times = [figures.axis_time((w.start + w.end) / 2) for w, _ in pairs]
    bars = {
        "type": "bar",
        "x": times,
        "y": [c.get("distance") for _, c in pairs],
        "marker": {"color": [_TONES.get(str(c.get("verdict")), "--grey") for _, c in pairs]},
        "text": [_told(w, c) for w, c in pairs],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "name": "distance",
    }
    lines = [
        _line(times, [c.get("radius") for _, c in pairs], "chance reaches", "--ink", "dot"),
        _line(times, [c.get("line") for _, c in pairs], "begins to matter", "--red", "dash"),
    ]
    unseen = {
        **_line(times, [c.get("smallest") for _, c in pairs], _UNSEEN, "--grey", "solid"),
        "fill": "tozeroy",
        "fillcolor": "--grey/0.14",
        "line": {"width": 0},
    }
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled(f"distance of {name}"), rangemode="tozero", fixedrange=True
        ),
    }
    shape = figures.layout(320, showlegend=True, legend=_LEGEND, bargap=0.35, **axes)
    return {"data": [unseen, bars, *lines], "layout": shape, "column": name}


def _line(
    times: list[str], values: Sequence[float | None], name: str, colour: str, dash: str
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": times,
        "y": list(values),
        "name": name,
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "hoverinfo": "skip",
    }


def _told(window: Window, cell: Mapping[str, Any]) -> str:
    head = f"{words.day(window.start)} to {words.day(window.end)}"
    verdict = figures.said(cell.get("verdict", ""))
    return f"{head}<br>{verdict}, v{window.version}<br>{figures.said(cell.get('why', ''))}"


def draw_traffic(found: Sequence[Window]) -> Figure:
    """Return the rows of each window, stacked by the version that answered."""
    ordered = sorted(found, key=lambda window: window.start)
    if not ordered:
        return figures.empty("No traffic has been captured yet.")
    times = [figures.axis_time((w.start + w.end) / 2) for w in ordered]
    answered = [_answered(window) for window in ordered]
    versions = sorted({version for counts in answered for version in counts})
    bars = [
        {
            "type": "bar",
            "name": f"v{version}",
            "x": times,
            "y": [counts.get(version, 0) for counts in answered],
            "marker": {"color": figures.colour_of(version)},
            "hovertemplate": f"v{version}: %{{y:,}} rows<extra></extra>",
        }
        for version in versions
    ]
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(title=figures.titled("rows a window"), fixedrange=True),
    }
    shape = figures.layout(
        240, barmode="stack", showlegend=True, legend=_LEGEND, bargap=0.35, **axes
    )
    return {"data": bars, "layout": shape}


def _answered(window: Window) -> dict[int, int]:
    told = window.traffic.get("versions")
    if isinstance(told, dict) and told:
        return {int(v): int(one["rows"]) for v, one in told.items() if str(v).isdecimal()}
    return {} if window.version is None else {window.version: window.rows}
