"""The cause page of an alarm: what moved, where, since when, what followed, and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from mainspring.ground.objects import Alarm, Finding, Window
from mainspring.monitoring import findings
from mainspring.web.pages import drift, figures, watched
from mainspring.web.pages.alarms import headline
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.performance import slices
from mainspring.web.pages.watched import Spot, Watched
from mainspring.workspace.opening import Workspace
from mainspring.workspace.reports import drawn
from mainspring.workspace.views.causes import Cause

_RANKED = 8


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the alarm's window, with a small picture where its rows are kept."""

    column: str
    found: Finding | None  #: of drift, if that was judged
    bar: float  #: how far, 0 to 1, where 0.5 is what matters
    picture: Markup | None
    why: list[str]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered in the window."""

    number: str
    share: float
    champion: bool


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page of one alarm shows.

    Raises:
        NotFoundError: if there is no such alarm.
    """
    from mainspring.workspace.views import causes

    told = causes.cause(ws, asked["id"])
    one = told.alarm
    seen = _seen(ws, one)
    window = told.window
    found = [] if window is None else findings.of_window(window)
    return {
        "alarm": one,
        "headline": headline([one]),
        "told": told,
        "window": window,
        "since": since(seen, one),
        "ranked": _ranked(ws, told, found),
        "others": _others(found),
        "slices": [s for s in slices(found) if s.verdict in ("alarm", "notice")][:8],
        "versions": _versions(window),
        "effect": _effect(found),
        "state": told.state,
        "decisions": told.did[::-1],
        "same": _same_window(ws, one),
        "drifts": one.kind in drift.MONITORS or one.kind == "quality",
        "column": one.subject.partition("/")[0] if one.kind == "quality" else one.subject,
    }


def _seen(ws: Workspace, one: Alarm) -> Watched:
    from mainspring.ground.errors import NotFoundError

    try:
        return watched.watched(ws, one.endpoint)
    except NotFoundError:
        return Watched([])  # an endpoint that is gone; its alarms stay


def since(seen: Watched, one: Alarm) -> Window | None:
    """Return the first of the windows without a gap up to the alarm's that said the same."""
    first: Window | None = None
    for window in seen.oldest_first:
        if window.start > one.raised:
            break
        same = [
            f
            for f in seen.of(window)
            if f.monitor == one.kind and one.subject in (f.subject, drift.column_of(f))
        ]
        off = any(f.verdict in ("alarm", "notice") for f in same)
        first = (first or window) if off else None
    return first


def _ranked(ws: Workspace, told: Cause, found: Sequence[Finding]) -> list[Ranked]:
    """Return the suspects, most suspect first, then the rest by how far it moved."""
    moved = {f.subject: f for f in found if f.monitor in drift.MONITORS}
    known = sorted(moved.values(), key=lambda f: -(watched.reach(f) or 0.0))
    names = [one.column for one in told.suspects]
    names += [f.subject for f in known if f.value is not None and f.subject not in names]
    if told.alarm.kind == "score_drift" and "score" in names:
        names = ["score", *(name for name in names if name != "score")]
    why = {one.column: one.why for one in told.suspects}
    kept = names[:_RANKED]
    pictures = _pictures(ws, told.alarm, told.window, kept)
    ranked = []
    for name in kept:
        one = moved.get(name)
        far = None if one is None else watched.reach(one)
        words = why.get(name) or ([] if one is None else [one.why])
        ranked.append(
            Ranked(
                column=name,
                found=one,
                bar=min((far or 0.0) / 2, 1.0),
                picture=pictures.get(name),
                why=words,
            )
        )
    return ranked


def _pictures(
    ws: Workspace, one: Alarm, window: Window | None, columns: list[str]
) -> dict[str, Markup]:
    from mainspring.ground.errors import NotFoundError
    from mainspring.workspace.reports.of_window import window_distributions

    if window is None or not columns:
        return {}
    try:
        laid, _ = window_distributions(ws, one.endpoint, window.id, columns)
    except NotFoundError:
        return {}
    # Figures of ours alone; names in it are escaped by whoever draws.
    return {name: Markup(drawn.svg(d, classes=True)) for name, d in laid.items()}  # noqa: S704


def _others(found: Sequence[Finding]) -> list[Finding]:
    """Return what else was off in the window: everything but drift and slices."""
    held = [
        one
        for one in found
        if one.monitor not in (*drift.MONITORS, "slice") and one.verdict in ("alarm", "notice")
    ]
    return watched.worst_first(held)[:20]


def _versions(window: Window | None) -> list[Version]:
    told = {} if window is None else window.traffic.get("versions") or {}
    return [
        Version(
            number=str(number),
            share=float(part.get("share") or 0.0),
            champion=window is not None and str(window.version) == str(number),
        )
        for number, part in sorted(told.items())
    ]


def _effect(found: Sequence[Finding]) -> list[Finding]:
    """Return what is known of the quality in the window: measured, and as it was estimated."""
    return [
        one
        for monitor in ("performance", "estimate")
        for one in found
        if one.monitor == monitor and one.subject == "loss" and one.value is not None
    ]


def _same_window(ws: Workspace, one: Alarm) -> list[Alarm]:
    """Return the other alarms of the same window."""
    from mainspring.workspace.views.monitoring import alarm_list

    every = alarm_list(ws, one.endpoint, limit=500)
    return [a for a in every if a.window == one.window and a.id != one.id]


def _spots(seen: Watched, one: Alarm) -> list[Spot]:
    """Return the series that an alarm is about; of a column's quality, that of the worst check."""
    subjects = [one.subject]
    if one.kind == "quality":
        own = [
            f
            for window in seen.windows
            if window.id == one.window
            for f in seen.of(window)
            if f.monitor == "quality" and drift.column_of(f) == one.subject
        ]
        subjects = [f.subject for f in watched.worst_first(own)[:1]]
    return [
        spot
        for subject in subjects
        for spot in seen.series(one.kind, subject)
        if spot.found.value is not None
    ]


def series(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return what the alarm is about, window by window, its own window marked."""
    from mainspring.workspace.views import monitoring

    one = monitoring.alarm(ws, asked["id"])
    seen = _seen(ws, one)
    window = next((w for w in seen.windows if w.id == one.window), None)
    spots = _spots(seen, one)
    if not spots:
        return figures.empty("No series is kept of what this alarm is about.")
    times = [drift.middle(spot.window) for spot in spots]
    data: list[Figure] = []
    sure = [s for s in spots if s.found.low is not None and s.found.high is not None]
    if sure:
        low, high = [s.found.low or 0.0 for s in sure], [s.found.high or 0.0 for s in sure]
        data.append(figures.band([drift.middle(s.window) for s in sure], low, high, "--accent"))
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": times,
            "y": [spot.found.value for spot in spots],
            "name": headline([one]),
            "line": {"color": "--accent", "width": 2},
            "marker": {
                "size": 7,
                "color": ["--amber" if s.found.verdict == "alarm" else "--accent" for s in spots],
            },
            "text": [drift.told(spot) for spot in spots],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    for values, name, colour, dash in (
        ([s.found.baseline for s in spots], "at training", "--ink", "dot"),
        ([s.found.radius for s in spots], "chance reaches", "--grey", "dot"),
        ([s.found.line for s in spots], "begins to matter", "--red", "dash"),
    ):
        if any(value is not None for value in values):
            data.append(drift.line(times, values, name, colour, dash))
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled(headline([one])), fixedrange=True, rangemode="tozero"
        ),
    }
    marked = [] if window is None else [drift.mark(window)]
    shape = figures.layout(300, showlegend=True, legend=drift.LEGEND, shapes=marked, **axes)
    return {"data": data, "layout": shape}
