"""The bias page: facets by metrics, each figure with its interval against what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.ground.objects import Finding, Window
from mainspring.web.pages import drift, figures, watched
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.watched import Watched
from mainspring.workspace.opening import Workspace

_WIDTH, _EDGE = 220.0, 6.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one comparison, and where its interval lies, in parts of a small picture."""

    found: Finding
    metric: str
    allowed: tuple[float, float] | None
    marks: dict[str, float] = {}  #: of low, high, value, baseline, from, to: pixels from the left


class Facet(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, such as ``sex = F``: its verdict and its metrics."""

    name: str
    summary: Finding | None
    lines: list[Line]


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the bias page shows of the newest window, or of the one that is named.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.views.endpoints import endpoint_board

    board = endpoint_board(ws, asked["name"])
    seen = watched.watched(ws, board.name)
    window = _window(seen, asked)
    facets = of_window(seen, window)
    names = [one.name for one in facets]
    wanted = asked.get("facet", "")
    place, before, after = watched.stepped(seen.oldest_first, window)
    return {
        "board": board,
        "window": window,
        "place": place,
        "before": before,
        "after": after,
        "facets": facets,
        "facet_now": wanted if wanted in names else (names[0] if names else ""),
        "metric": asked.get("metric", ""),
        "width": _WIDTH,
        "query": lambda **changed: watched.query(asked, **changed),
    }


def _window(seen: Watched, asked: Mapping[str, str]) -> Window | None:
    if "window" in asked:
        return seen.named(asked["window"])
    return seen.newest_with("bias") or seen.named(None)


def of_window(seen: Watched, window: Window | None) -> list[Facet]:
    """Return the comparisons of a window, those outside of what is allowed first."""
    held = [one for one in seen.of(window) if one.monitor == "bias"]
    by_name: dict[str, list[Finding]] = {}
    summaries: dict[str, Finding] = {}
    for one in held:
        metric = one.detail.get("metric")
        if metric is None:
            summaries[one.subject] = one
        else:
            by_name.setdefault(one.subject.removesuffix(f"/{metric}"), []).append(one)
    names = dict.fromkeys([*summaries, *by_name])
    facets = [
        Facet(
            name=name,
            summary=summaries.get(name),
            lines=[_line(one) for one in by_name.get(name, [])],
        )
        for name in names
    ]
    return sorted(facets, key=lambda one: one.summary is None or one.summary.verdict != "alarm")


def _line(found: Finding) -> Line:
    allowed = found.detail.get("allowed")
    pair = (float(allowed[0]), float(allowed[1])) if allowed else None
    ends = {"low": found.low, "high": found.high, "value": found.value, "baseline": found.baseline}
    if pair is not None:
        ends |= {"from": pair[0], "to": pair[1]}
    known = {name: value for name, value in ends.items() if value is not None}
    marks: dict[str, float] = {}
    if found.value is not None and known:
        least, most = min(known.values()), max(known.values())
        span = (most - least) or 1.0
        marks = {
            name: round(_EDGE + (_WIDTH - 2 * _EDGE) * (value - least) / span, 1)
            for name, value in known.items()
        }
    return Line(found=found, metric=str(found.detail.get("metric", "")), allowed=pair, marks=marks)


def history(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return one metric of one comparison over time, with its interval and the allowed range."""
    seen = watched.watched(ws, asked["name"])
    facets = of_window(seen, _window(seen, asked))
    if not facets:
        return figures.empty("No facet is declared, so no bias is measured.")
    facet = next((one for one in facets if one.name == asked.get("facet")), facets[0])
    names = [line.metric for line in facet.lines if line.found.value is not None]
    if not names:
        return figures.empty("Nothing could be measured of this facet yet.")
    first = "DPPL" if "DPPL" in names else names[0]
    metric = asked.get("metric") if asked.get("metric") in names else first
    spots = [
        spot
        for spot in seen.series("bias", f"{facet.name}/{metric}")
        if spot.found.value is not None
    ]
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
            "name": f"{metric}, measured",
            "line": {"color": "--accent", "width": 2.5},
            "marker": {
                "size": 7,
                "color": ["--accent" if s.found.verdict == "quiet" else "--amber" for s in spots],
            },
            "text": [drift.told(spot) for spot in spots],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    if any(spot.found.baseline is not None for spot in spots):
        usual = [spot.found.baseline for spot in spots]
        data.append(drift.line(times, usual, "at training", "--ink", "dot"))
    for place, name in ((0, "allowed from"), (1, "allowed to")):
        ends = [(spot.found.detail.get("allowed") or [None, None])[place] for spot in spots]
        if any(end is not None for end in ends):
            data.append(drift.line(times, ends, name, "--red", "dash"))
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled(f"{metric}, {facet.name}"), fixedrange=True, nticks=7
        ),
    }
    shape = figures.layout(300, showlegend=True, legend=drift.LEGEND, **axes)
    return {"data": data, "layout": shape}
