"""What became of each retraining of a loop, and what replays of its history say of its policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.ground.objects import Decision, Evidence
from mainspring.ground.permissions import Permission
from mainspring.web.pages import figures, words
from mainspring.web.pages.figures import Figure
from mainspring.workspace.opening import Workspace

_ENDS = ("promote", "reject", "roll_back", "refuse")
_MET = ("canary", "shadow", "blue_green")


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """One retraining, what asked for it, and how it ended."""

    asked: Decision
    version: str = ""  #: model/number, once there is one
    met: bool = False  #: it met traffic
    ended: Decision | None = None


def renewals(decisions: Sequence[Decision], model: str) -> list[Renewal]:
    """Return the retrainings among a loop's decisions (newest first), the newest first.

    What is decided about a version between a training and the next belongs to it.
    """
    found: list[Renewal] = []
    for one in reversed(decisions):
        if one.kind == "retrain":
            found.append(Renewal(asked=one))
            continue
        if not found or (one.kind not in _ENDS and one.kind not in _MET):
            continue
        last, name = found[-1], _version(one, model)
        if last.version and name != last.version:
            continue  # a champion that goes back, say: it was not made by this training
        found[-1] = msgspec.structs.replace(
            last,
            version=name,
            met=last.met or one.kind in _MET,
            ended=one if one.kind in _ENDS else last.ended,
        )
    return found[::-1]


def _version(decision: Decision, model: str) -> str:
    kind, mark, name = decision.subject.partition(":")
    return f"{model}/{name}" if mark and kind == "version" else decision.subject


def replayed(ws: Workspace, loop: str, model: str, kind: str) -> Evidence | None:
    """Return the newest replay of a loop's history: of kind ``simulation`` or ``staleness``."""
    from mainspring.readiness import evidence

    found = ws.read(
        Permission.READ, lambda tx: evidence.listing(tx, f"model:{model}", kind, limit=20)
    )
    return next((one for one in found if one.detail.get("loop", loop) == loop), None)


def policies_of(kept: Evidence | None) -> list[dict[str, Any]]:
    """Return how each policy fared, as the replay kept it; none if nothing was replayed."""
    return [] if kept is None else _records(kept.detail.get("policies"))


def ages_of(kept: Evidence | None) -> list[dict[str, Any]]:
    """Return what models of each age lose, as the replay kept it."""
    found = [] if kept is None else _records(kept.detail.get("ages"))
    return [one for one in found if _number(one, "days") is not None]


def _records(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    return float(value) if isinstance(value, int | float) else None


def draw_policies(kept: Evidence | None, loop: str) -> Figure:
    """Return a chart of policies: quality against how often each retrained."""
    told = policies_of(kept)
    spots = [
        (str(one.get("policy", "")), x, y)
        for one in told
        if (x := _number(one, "retrainings")) is not None
        and (y := _number(one, "mean")) is not None
    ]
    if kept is None or not spots:
        return figures.empty(f"No policy was replayed yet: mainspring loop simulate {loop}")
    better = "higher is better" if kept.detail.get("higher_is_better") else "lower is better"
    title = f"mean {words.word(kept.detail.get('metric', 'quality'))} ({better})"
    own = [name.partition(",")[0] == "declared" for name, _, _ in spots]
    marks: Figure = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [x for _, x, _ in spots],
        "y": [y for _, _, y in spots],
        "text": [figures.said(name, 24) for name, _, _ in spots],
        "textposition": "top center",
        "textfont": {"color": "--ink", "size": 12},
        "marker": {
            "size": [15 if mine else 11 for mine in own],
            "symbol": ["star" if mine else "circle" for mine in own],
            "color": ["--green" if mine else "--accent" for mine in own],
        },
        "hovertext": [f"{figures.said(n)}<br>{y:.4f} with {x:g} retrainings" for n, x, y in spots],
        "hoverinfo": "text",
        "cliponaxis": False,
    }
    low, high = min(x for _, x, _ in spots), max(x for _, x, _ in spots)
    edge = max(0.12 * (high - low), 0.6)
    axes = {
        "xaxis": figures.axis(
            title=figures.titled("retrainings"), range=[low - edge, high + edge], nticks=8
        ),
        "yaxis": figures.axis(title=figures.titled(title), nticks=6),
    }
    margin = {"l": 8, "r": 26, "t": 30, "b": 42}
    return {"data": [marks], "layout": figures.layout(321, margin=margin, **axes)}


def draw_ages(kept: Evidence | None, loop: str) -> Figure:
    """Return a chart of what models lose with their age, with what is tolerated."""
    ages = ages_of(kept)
    spots = [(one, y) for one in ages if (y := _number(one, "rise")) is not None]
    if kept is None or not spots:
        return figures.empty(f"Nobody has measured how it ages: mainspring loop staleness {loop}")
    days = [float(one["days"]) for one, _ in spots]
    data: list[Figure] = []
    sure = [
        (float(one["days"]), low, high)
        for one, _ in spots
        if (low := _number(one, "low")) is not None and (high := _number(one, "high")) is not None
    ]
    if sure:
        band = figures.band(
            [str(x) for x, _, _ in sure], [y for _, y, _ in sure], [y for _, _, y in sure], "--v0"
        )
        xs = [x for x, _, _ in sure]
        data.append({**band, "x": [*xs, *reversed(xs)]})
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": days,
            "y": [y for _, y in spots],
            "line": {"color": "--v0", "width": 2.5},
            "marker": {"size": 7, "color": "--v0"},
            "text": [
                f"{x:.3g} days old: {y:+.4f} a row, {one.get('n', '?')} periods"
                for x, (one, y) in zip(days, spots, strict=True)
            ],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    shapes = []
    tolerated = _number(kept.detail, "tolerance")
    if tolerated is not None:
        line = {"color": "--red/0.7", "width": 1.5, "dash": "dash"}
        spot = {"x0": 0, "x1": 1, "y0": tolerated, "y1": tolerated}
        shapes.append({"type": "line", "xref": "paper", "line": line, **spot})
    axes = {
        "xaxis": figures.axis(title=figures.titled("age in days"), rangemode="tozero", nticks=8),
        "yaxis": figures.axis(title=figures.titled("loss above the youngest model"), nticks=6),
    }
    return {"data": data, "layout": figures.layout(321, shapes=shapes, **axes)}
