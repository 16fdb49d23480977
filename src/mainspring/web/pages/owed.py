"""The debt board: what is owed by kind and weight, what was accepted until when, the trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from mainspring.debt.findings import KINDS
from mainspring.debt.scan import Owed
from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.web.pages import figures, words
from mainspring.web.pages.figures import Figure
from mainspring.workspace.opening import Workspace

SEVERITIES = ("high", "medium", "low")
_SHOWN = 200
_SCANS = 200


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of debt: how much of it there is, by severity."""

    kind: str
    what: str
    counts: dict[str, int]
    accepted: int


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the newest scan found, as it stands today."""
    from mainspring.workspace.owed import scanning

    try:
        scan = scanning.listed(ws)
    except NotFoundError:
        scan = None
    chosen = {key: asked.get(key, "") for key in ("kind", "severity", "subject")}
    owed = [] if scan is None else [one for one in scan.owed if _meets(one, chosen)]
    counted, accepted = [o for o in owed if o.counts], [o for o in owed if not o.counts]

    def query(**changes: str) -> str:
        kept = {key: value for key, value in (chosen | changes).items() if value}
        return f"/debt?{urlencode(kept)}" if kept else "/debt"

    return {
        "scan": scan,
        "lines": [] if scan is None else kinds_of(scan.owed),
        "counted": counted[:_SHOWN],
        "more": max(len(counted) - _SHOWN, 0),
        "accepted": accepted[:_SHOWN],
        "severities": SEVERITIES,
        "query": query,
        **chosen,
    }


def _meets(one: Owed, chosen: Mapping[str, str]) -> bool:
    found = one.finding
    subject = chosen["subject"]
    of_it = {subject, f"model:{subject}", f"loop:{subject}", f"endpoint:{subject}"}
    return (
        chosen["kind"] in ("", found.kind)
        and chosen["severity"] in ("", found.severity)
        and (not subject or found.subject in of_it or found.subject.startswith(f"{subject}/"))
    )


def kinds_of(owed: Sequence[Owed]) -> list[Line]:
    """Return the kinds that are owed, those that weigh most first."""
    by_kind: dict[str, list[Owed]] = {}
    for one in owed:
        by_kind.setdefault(one.finding.kind, []).append(one)

    def weight(kind: str) -> int:
        return sum(one.finding.weight for one in by_kind[kind] if one.counts)

    return [
        Line(
            kind=kind,
            what=KINDS.get(kind, ""),
            counts={s: _count(by_kind[kind], s) for s in SEVERITIES},
            accepted=sum(not one.counts for one in by_kind[kind]),
        )
        for kind in sorted(by_kind, key=lambda kind: (-weight(kind), kind))
    ]


def _count(owed: Sequence[Owed], severity: str) -> int:
    return sum(one.counts and one.finding.severity == severity for one in owed)


def trend(ws: Workspace, asked: Mapping[str, str]) -> Figure:  # noqa: ARG001
    """Return a chart of what the scans found: weight, and findings that count."""
    from mainspring.debt import ledger

    scans = ws.read(Permission.READ, lambda tx: ledger.trend(tx, "", _SCANS))
    if not scans:
        return figures.empty("Nobody has looked for debt yet: mainspring debt")
    times = [figures.axis_time(one.at) for one in scans]
    told = [
        f"{words.when(one.at)}: weight {one.weight}, {one.open} open, {one.accepted} accepted"
        for one in scans
    ]
    lines = (
        ("weight", [one.weight for one in scans], "--red", "solid"),
        ("open", [one.open for one in scans], "--accent", "solid"),
        ("accepted", [one.accepted for one in scans], "--teal", "dot"),
    )
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": times,
            "y": values,
            "line": {"color": colour, "width": 2.2, "dash": dash, "shape": "hv"},
            "marker": {"size": 7, "color": colour},
            "text": told,
            "hovertemplate": "%{text}<extra></extra>",
        }
        for name, values, colour, dash in lines
    ]
    legend = {"orientation": "h", "y": 1.14, "x": 0, "font": {"color": "--muted", "size": 12}}
    first, last = scans[0].at, scans[-1].at
    edge = max(0.03 * (last - first), 1800.0)
    span = [figures.axis_time(first - edge), figures.axis_time(last + edge)]
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, range=span),
        "yaxis": figures.axis(rangemode="tozero", fixedrange=True, nticks=6),
    }
    return {"data": data, "layout": figures.layout(246, showlegend=True, legend=legend, **axes)}
