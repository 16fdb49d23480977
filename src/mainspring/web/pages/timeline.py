"""Draw a loop's life: how well its champions did, and what was decided when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from mainspring.ground.objects import Alarm, Decision, Window
from mainspring.web.pages import figures, quality, words
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.quality import Point

#: Lanes under the chart, from the top: what is shown in it, its symbol and colour.
_LANES = (
    ("alarm", "alarm", "triangle-up", "--amber"),
    ("retrain", "retrain", "circle", "--violet"),
    ("canary", "roll-out", "diamond", "--blue"),
    ("promote", "promoted", "star", "--green"),
    ("reject", "rejected", "x", "--grey"),
    ("roll_back", "rolled back", "triangle-down", "--red"),
    ("other", "other", "circle-open", "--grey"),
)
_LANE_OF = {"shadow": "canary", "blue_green": "canary"}
_OF_A_HAND = ("override", "pause", "resume", "decline", "hold")
_MARKED = ("promote", "roll_back")  # with a line through the whole chart


def draw(
    windows: Sequence[Window],
    decisions: Sequence[Decision],
    alarms: Sequence[Alarm],
    metric: str,
) -> Figure:
    """Return the figure: quality above, with intervals; champion and decisions in lanes below."""
    known = quality.points(windows, metric)
    if not known and not decisions:
        return figures.empty("Nothing has been decided yet. The first version is on its way.")
    decisions = _placed(decisions, windows)
    lanes = _rows(decisions, alarms)
    names = [one for one in _LANES if lanes.get(one[0])]
    data = [*_curves(known), *_challengers(windows, metric), *_ribbon(windows, len(names))]
    for row, (key, _, symbol, colour) in enumerate(names):
        data.append(_marks(lanes[key], len(names) - 1 - row, symbol, colour))
    share = min(0.2 + 0.055 * len(names), 0.5)
    ticks = {
        "tickvals": list(range(len(names) + 1)),
        "ticktext": [*(name for _, name, _, _ in reversed(names)), "champion"],
    }
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, anchor="y2", automargin=False),
        "yaxis": figures.axis(
            domain=[share + 0.04, 1],
            title=figures.titled(quality.name_of(metric)),
            fixedrange=True,
            nticks=6,
        ),
        "yaxis2": figures.axis(
            domain=[0, share], range=[-0.6, len(names) + 0.6], fixedrange=True, **ticks
        ),
    }
    lines = [_line(one) for one in decisions if one.kind in _MARKED]
    return {"data": data, "layout": figures.layout(460, shapes=lines, **axes)}


def _curves(known: Sequence[Point]) -> list[Figure]:
    """Return a line and a band for each stretch of one champion."""
    out: list[Figure] = []
    for version, stretch in groupby(known, key=lambda point: point.version):
        run = list(stretch)
        colour = figures.colour_of(version)
        sure = [p for p in run if p.low is not None and p.high is not None]
        if sure:
            times = [figures.axis_time(p.end) for p in sure]
            low, high = [p.low or 0.0 for p in sure], [p.high or 0.0 for p in sure]
            out.append(figures.band(times, low, high, colour))
        out.append(_curve(run, colour, "solid", f"v{version}, champion"))
    return out


def _challengers(windows: Sequence[Window], metric: str) -> list[Figure]:
    known = quality.challenger_points(windows, metric)
    known = sorted(known, key=lambda point: (point.version or 0, point.start))
    out: list[Figure] = []
    for version, stretch in groupby(known, key=lambda point: point.version):
        name = f"v{version}, beside the champion"
        colour = figures.colour_of(version)
        out += [_curve(run, colour, "dot", name) for run in _unbroken(list(stretch))]
    return out


def _unbroken(points: Sequence[Point]) -> list[list[Point]]:
    """Return points in runs without a gap: a version may meet traffic more than once."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and point.start - runs[-1][-1].end < point.end - point.start:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _curve(run: list[Point], colour: str, dash: str, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [figures.axis_time(p.end) for p in run],
        "y": [p.value for p in run],
        "line": {"color": colour, "width": 2.5 if dash == "solid" else 1.5, "dash": dash},
        "marker": {"size": 6 if dash == "solid" else 4, "color": colour},
        "text": [_told(p, name) for p in run],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _told(point: Point, name: str) -> str:
    interval = ""
    if point.low is not None and point.high is not None:
        interval = f" ({point.low:.4f} to {point.high:.4f})"
    return (
        f"{figures.said(name)}<br>{point.value:.4f}{interval}<br>{point.rows:,} labelled"
        f" rows, {words.day(point.start)} to {words.day(point.end)}"
    )


def _ribbon(windows: Sequence[Window], level: int) -> list[Figure]:
    """Return who was champion when, as a thick line in segments."""
    out: list[Figure] = []
    ordered = sorted(windows, key=lambda window: window.start)
    for version, stretch in groupby(ordered, key=lambda window: window.version):
        run = list(stretch)
        start, end = run[0].start, run[-1].end
        told = f"v{version} served {words.day(start)} to {words.day(end)}"
        middle = (start + end) / 2
        out.append(
            {
                "type": "scatter",
                "mode": "lines+text",
                "x": [figures.axis_time(t) for t in (start, middle, end)],
                "y": [level] * 3,
                "yaxis": "y2",
                "text": ["", f"v{version}", ""],
                "textposition": "middle center",
                "textfont": {"color": "--on-colour", "size": 11},
                "line": {"width": 17, "color": figures.colour_of(version)},
                "hovertext": told,
                "hoverinfo": "text",
            }
        )
    return out


def _placed(decisions: Sequence[Decision], windows: Sequence[Window]) -> list[Decision]:
    """Return decisions with a place: what came before any event time stands at the beginning."""
    times = [w.start for w in windows] + [one.at for one in decisions if one.at > 0]
    first = min(times, default=0.0)
    return [msgspec.structs.replace(d, at=first) if d.at <= 0 else d for d in decisions]


def _rows(
    decisions: Sequence[Decision], alarms: Sequence[Alarm]
) -> dict[str, list[tuple[float, str]]]:
    rows: dict[str, list[tuple[float, str]]] = {}
    for one in decisions:
        lane = _LANE_OF.get(one.kind, one.kind)
        if lane in _OF_A_HAND:
            lane = "other"
        text = f"{words.word(one.kind)} {figures.said(one.subject)}"
        rows.setdefault(lane, []).append((one.at, f"{text}<br>{figures.said(one.reason)}"))
    for alarm in alarms:
        text = f"{words.word(alarm.kind)} of {figures.said(alarm.subject)}"
        ended = f"ended: {words.word(alarm.outcome)}" if alarm.outcome else "open"
        told = f"{text} ({ended})<br>{figures.said(alarm.reason)}"
        rows.setdefault("alarm", []).append((alarm.raised, told))
    return rows


def _marks(row: list[tuple[float, str]], level: int, symbol: str, colour: str) -> Figure:
    marker: dict[str, Any] = {"symbol": symbol, "size": 11, "color": colour}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [figures.axis_time(at) for at, _ in row],
        "y": [level] * len(row),
        "yaxis": "y2",
        "marker": marker,
        "text": [f"{told}<br>{words.when(at)}" for at, told in row],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _line(decision: Decision) -> Figure:
    colour = "--green" if decision.kind == "promote" else "--red"
    at = figures.axis_time(decision.at)
    return {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"color": f"{colour}/0.55", "width": 1.2, "dash": "dot"},
    }
