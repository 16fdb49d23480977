"""Draw how an endpoint's traffic goes: requests, latency and errors over time, by version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from mainspring.scaling.serving.minutes import Minutes, Stretch
from mainspring.web.pages import figures, sparks, words
from mainspring.web.pages.figures import Figure

#: What is shown -> its length, and that of one point, in seconds. Beyond two days the counts are
#: known by the hour.
SPANS: dict[str, tuple[float, float]] = {
    "1h": (3600.0, 60.0),
    "6h": (6 * 3600.0, 300.0),
    "1d": (86_400.0, 1200.0),
    "7d": (7 * 86_400.0, 3 * 3600.0),
    "90d": (90 * 86_400.0, 86_400.0),
}
_FIRST = "1h"
_NONE = "Nobody has asked it yet. Ask it for a prediction: mainspring predict, or its address."


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The newest hour of an endpoint, all versions that answered together."""

    requests: int = 0
    errors: float | None = None  #: share answered with 5xx
    refused: float | None = None  #: share answered with 4xx
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    asked: Markup | None = None  #: requests by the minute
    slow: Markup | None = None  #: p95 by the minute


def pulse(known: Minutes, champion: int | None) -> Pulse:
    """Return how the newest hour went for those who asked: that of the champion's requests."""
    span = _span(known, _FIRST)
    if span is None:
        return Pulse()
    since, until, width = span
    lines = known.between(since, until, width)
    mine = lines.get(champion) or next(iter(lines.values()), {})
    whole = Stretch()
    for one in mine.values():
        whole.add(one)
    places = [since + n * width for n in range(round((until - since) / width))]
    there = [mine.get(at, Stretch()) for at in places]
    slow = [one.quantile_ms(0.95) for one in there]
    return Pulse(
        requests=whole.requests,
        errors=whole.errors / whole.requests if whole.requests else None,
        refused=whole.refused / whole.requests if whole.requests else None,
        p50_ms=whole.quantile_ms(0.5),
        p95_ms=whole.quantile_ms(0.95),
        p99_ms=whole.quantile_ms(0.99),
        asked=sparks.curve([float(one.requests) for one in there]),
        slow=sparks.curve([value for value in slow if value is not None]),
    )


def _span(known: Minutes, asked: str) -> _Span | None:
    """Return the beginning, the end and the step of what is shown; it ends with the newest."""
    newest = known.newest
    if newest is None:
        return None
    length, width = SPANS.get(asked) or SPANS[_FIRST]
    until = (newest // width + 1) * width
    return until - length, until, width


def draw(known: Minutes, asked: str) -> Figure:
    """Return latency, errors and requests over time, by version, as charts side by side."""
    chosen = asked if asked in SPANS else _FIRST
    span = _span(known, chosen)
    if span is None:
        return figures.empty(_NONE)
    found = known.between(*span)
    panels = [
        _panel("Latency in ms: p50, p95 (dashed), p99 (dotted)", found, span, _latency, log=True),
        _panel("Failed and refused (dotted) requests in %", found, span, _errors),
        _panel("Requests a second", found, span, _requests),
    ]
    return {"panels": panels, "options": {"span": chosen}}


_Span = tuple[float, float, float]
#: The curves of one version: name, values, dash, words.
_Curves = list[tuple[str, list[float | None], str, str]]


def _latency(line: Sequence[Stretch], width: float) -> _Curves:  # noqa: ARG001
    return [
        (f"p{100 * share:.0f}", [s.quantile_ms(share) for s in line], dash, "%{y:.3g} ms")
        for share, dash in ((0.5, "solid"), (0.95, "dash"), (0.99, "dot"))
    ]


def _errors(line: Sequence[Stretch], width: float) -> _Curves:  # noqa: ARG001
    failed: list[float | None] = [100 * one.errors / one.requests for one in line]
    refused: list[float | None] = [100 * one.refused / one.requests for one in line]
    return [("failed", failed, "solid", "%{y:.3g} %"), ("refused", refused, "dot", "%{y:.3g} %")]


def _requests(line: Sequence[Stretch], width: float) -> _Curves:
    rates: list[float | None] = [one.requests / width for one in line]
    return [("", rates, "solid", "%{y:.3g} a second")]


def _panel(
    title: str,
    found: Mapping[int | None, Mapping[float, Stretch]],
    span: _Span,
    curves: Callable[[Sequence[Stretch], float], _Curves],
    *,
    log: bool = False,
) -> Figure:
    since, until, width = span
    data = [
        _curve(f"{_name(version)} {name}".strip(), line, width, values, version, (dash, said))
        for version, line in found.items()
        for name, values, dash, said in curves(list(line.values()), width)
    ]
    scale: dict[str, Any] = {"type": "log", "dtick": "D2"} if log else {"rangemode": "tozero"}
    ends = [figures.axis_time(since), figures.axis_time(until)]
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False, range=ends, nticks=5),
        "yaxis": figures.axis(fixedrange=True, nticks=5, **scale),
    }
    shape = figures.layout(210, hovermode="x unified", **axes)
    return {"title": title, "data": data, "layout": shape}


def _curve(
    name: str,
    line: Mapping[float, Stretch],
    width: float,
    values: list[float | None],
    version: int | None,
    looks: tuple[str, str],
) -> Figure:
    dash, said = looks
    colour = figures.colour_of(version)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(line) < 3 else "lines",
        "x": [figures.axis_time(at + width / 2) for at in line],
        "y": values,
        "name": name,
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "marker": {"size": 5, "color": colour},
        "hovertemplate": f"{name}: {said}<extra></extra>",
    }


def _name(version: int | None) -> str:
    return "nobody loaded" if version is None else f"v{version}"


def told(known: Minutes) -> str:
    """Return until when anything is known, in words."""
    return "" if known.newest is None else words.when(known.newest + 60.0)
