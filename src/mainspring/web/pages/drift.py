"""Show drift: a strip of verdicts, column by window, and one column's distances as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from mainspring.ground.objects import Finding, Window
from mainspring.web.pages import figures, words
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.watched import Spot, Watched, reach

MONITORS = ("drift", "score_drift")
_TONES = {"alarm": "--amber", "notice": "--blue", "quiet": "--accent"}
_UNSEEN = "too small for its window to see"
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
_STEPS = (0.25, 0.5, 0.75, 1.0)  # of the distance that matters: shades of a quiet cell
#: Rows of a strip: with a thousand columns the worst are shown, and the rest is found by name.
MOST_ROWS = 120


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One column in one window."""

    verdict: str
    shade: int  #: 0 to 4: how far, in quarters of what matters
    told: str
    window: str


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
    left: int = 0  #: columns that are not shown


def heat(seen: Watched, find: str = "", also: str = "") -> Heat:
    """Return the strip of verdicts, oldest window first.

    Only columns whose name holds ``find``; the column ``also`` is there in any case.
    """
    ordered = seen.oldest_first
    by_column: dict[str, dict[str, Finding]] = {}
    for window in ordered:
        for one in seen.of(window):
            if one.monitor in MONITORS and (find.lower() in one.subject.lower()):
                by_column.setdefault(one.subject, {})[window.id] = one
    rows = [_row(name, cells, ordered) for name, cells in by_column.items()]
    rows.sort(key=lambda row: (row.column != "score", -(row.share or 0.0), row.column))
    kept = rows
    if len(rows) > MOST_ROWS:
        first = sorted(rows, key=lambda row: (row.column != also, -row.worst))[:MOST_ROWS]
        names = {row.column for row in first}
        kept = [row for row in rows if row.column in names]
    left = len(rows) - len(kept)
    return Heat(windows=ordered, rows=kept, months=_months(ordered), left=left)


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


def _row(name: str, cells: Mapping[str, Finding], ordered: Sequence[Window]) -> Row:
    newest = list(cells.values())[-1]
    return Row(
        column=name,
        share=newest.detail.get("share"),
        cells=[_cell(cells[w.id], w) if w.id in cells else None for w in ordered],
        worst=sum(1 for cell in cells.values() if cell.verdict == "alarm"),
    )


def _cell(found: Finding, window: Window) -> Cell:
    far = reach(found) or 0.0
    told = f"{words.day(window.start)} to {words.day(window.end)}: {found.verdict}."
    return Cell(
        verdict=found.verdict,
        shade=sum(1 for step in _STEPS if far >= step),
        told=f"{told} {found.why}".strip(),
        window=window.id,
    )


def findings(seen: Watched) -> list[dict[str, Any]]:
    """Return what the quality checks found that is not quiet, newest window first."""
    return [
        {
            "window": window,
            "verdict": one.verdict,
            "column": column_of(one),
            "check": check_of(one),
            "why": one.why,
        }
        for window in reversed(seen.oldest_first)
        for one in seen.of(window)
        if one.monitor == "quality" and one.verdict in ("alarm", "notice")
    ][:100]


def column_of(found: Finding) -> str:
    """Return the column that a finding is about; a quality check is ``column/check``."""
    if found.monitor != "quality":
        return found.subject
    return str(found.detail.get("column") or found.subject.rpartition("/")[0])


def check_of(found: Finding) -> str:
    """Return which check a finding of quality is of."""
    return str(found.detail.get("check") or found.subject.rpartition("/")[2])


def draw(seen: Watched, column: str, chosen: Window | None = None) -> Figure:
    """Return one column's distance by window, with what chance reaches and what matters."""
    names = [row.column for row in heat(seen, also=column).rows]
    if not names:
        return figures.empty("No window has been judged yet.")
    name = column if column in names else names[0]
    spots = [spot for one in MONITORS for spot in seen.series(one, name)]
    times = [middle(spot.window) for spot in spots]
    bars = {
        "type": "bar",
        "x": times,
        "y": [spot.found.value for spot in spots],
        "marker": {"color": [_TONES.get(spot.found.verdict, "--grey") for spot in spots]},
        "text": [told(spot) for spot in spots],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "name": "distance",
    }
    lines = [
        line(times, [s.found.radius for s in spots], "chance reaches", "--ink", "dot"),
        line(times, [s.found.line for s in spots], "begins to matter", "--red", "dash"),
    ]
    unseen = {
        **line(times, [s.found.smallest for s in spots], _UNSEEN, "--grey", "solid"),
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
    marked = [] if chosen is None else [mark(chosen)]
    shape = figures.layout(320, showlegend=True, legend=LEGEND, bargap=0.35, shapes=marked, **axes)
    return {"data": [unseen, bars, *lines], "layout": shape, "column": name}


def middle(window: Window) -> str:
    """Return the middle of a window as an axis reads it."""
    return figures.axis_time((window.start + window.end) / 2)


def mark(window: Window) -> Figure:
    """Return a band behind a window, over the whole height of a chart."""
    return {
        "type": "rect",
        "x0": figures.axis_time(window.start),
        "x1": figures.axis_time(window.end),
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "fillcolor": "--accent/0.14",
        "line": {"width": 0},
    }


def line(
    times: Sequence[str], values: Sequence[float | None], name: str, colour: str, dash: str
) -> Figure:
    """Return a line over time, without a word when pointed at."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(times),
        "y": list(values),
        "name": name,
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "hoverinfo": "skip",
    }


def told(spot: Spot) -> str:
    """Return what is said of a finding when it is pointed at."""
    window, found = spot.window, spot.found
    head = f"{words.day(window.start)} to {words.day(window.end)}"
    version = "" if window.version is None else f", v{window.version}"
    return f"{head}<br>{figures.said(found.verdict)}{version}<br>{figures.said(found.why)}"


def draw_traffic(found: Sequence[Window]) -> Figure:
    """Return the rows of each window, stacked by the version that answered."""
    ordered = sorted(found, key=lambda window: window.start)
    if not ordered:
        return figures.empty("No traffic has been captured yet.")
    times = [middle(window) for window in ordered]
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
        240, barmode="stack", showlegend=True, legend=LEGEND, bargap=0.35, **axes
    )
    return {"data": bars, "layout": shape}


def _answered(window: Window) -> dict[int, int]:
    told = window.traffic.get("versions")
    if isinstance(told, dict) and told:
        return {int(v): int(one["rows"]) for v, one in told.items() if str(v).isdecimal()}
    return {} if window.version is None else {window.version: window.rows}
