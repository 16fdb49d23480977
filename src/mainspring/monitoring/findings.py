"""Everything a window holds as findings of one shape: what series, rules and pages are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.ground.monitors import Verdict
from mainspring.ground.objects import Finding, Window

Row = dict[str, Any]

_TRAFFIC = ("rows", "calls", "rows_per_s", "outside", "scored_by_two")
#: What the loss says of the labels it was measured on.
_OF_LABELS = (
    "lower_bound",
    "version",
    "mature_at",
    "judged",
    "repeated",
    "contradicted",
    "unmatched",
    "foreign",
)
_VERDICTS: dict[str, Verdict] = {
    "quiet": "quiet",
    "notice": "notice",
    "alarm": "alarm",
    "too few rows": "too few rows",
    "no baseline": "not judged",
}


def of_window(window: Window) -> list[Finding]:
    """Return all that was found in a window: drift, quality, traffic, performance and the rest.

    A quality check of a column has the subject ``column/check``; a metric its own name, and
    ``loss`` is the bounded loss that is alarmed on; a version's share of the rows
    ``share/NUMBER``.

    >>> calm = Window(id="e:0", endpoint="e", start=0.0, end=1.0, rows=3, version=1,
    ...               traffic={"rows": 3})
    >>> [(one.monitor, one.subject, one.value) for one in of_window(calm)]
    [('traffic', 'rows', 3.0)]
    """
    found = [_drift(row) for row in window.drift]
    found += [_quality(row) for row in window.quality]
    found += _traffic(window)
    found += _performance(window.performance or {})
    return [*found, *window.found]


def replaced(old: Sequence[Finding], new: Sequence[Finding]) -> list[Finding]:
    """Return the old findings, those of the same monitor and subject replaced by the new."""
    fresh = {(one.monitor, one.subject) for one in new}
    return [*(one for one in old if (one.monitor, one.subject) not in fresh), *new]


def _drift(row: Row) -> Finding:
    return Finding(
        monitor=row.get("kind", "drift"),
        subject=row["column"],
        value=row.get("distance"),
        line=row.get("line"),
        radius=row.get("radius"),
        smallest=row.get("smallest"),
        rows=row.get("rows") or 0,
        verdict=_VERDICTS.get(row.get("verdict", ""), "not judged"),
        why=row.get("why", ""),
        detail=row,
    )


def _quality(row: Row) -> Finding:
    return Finding(
        monitor="quality",
        subject=f"{row['column']}/{row['check']}",
        value=row.get("rate"),
        low=row.get("low"),
        high=row.get("high"),
        baseline=row.get("baseline"),
        rows=row.get("rows") or 0,
        verdict=_VERDICTS.get(row.get("verdict", ""), "not judged"),
        why=row.get("why", ""),
        detail=row,
    )


def _traffic(window: Window) -> Iterator[Finding]:
    told = window.traffic
    for name in _TRAFFIC:
        if told.get(name) is not None:
            yield Finding(
                monitor="traffic", subject=name, value=float(told[name]), rows=window.rows
            )
    for version, part in told.get("versions", {}).items():
        yield Finding(
            monitor="traffic",
            subject=f"share/{version}",
            value=part["share"],
            rows=part["rows"],
        )


def _performance(told: Row) -> Iterator[Finding]:
    if not told:
        return
    rows = told.get("rows") or 0
    loss = told.get("loss") or {}
    yield Finding(
        monitor="performance",
        subject="loss",
        value=loss.get("estimate"),
        low=loss.get("low"),
        high=loss.get("high"),
        baseline=told.get("baseline_loss"),
        line=told.get("line"),
        radius=told.get("radius"),
        smallest=told.get("smallest"),
        rows=rows,
        verdict=_VERDICTS.get(told.get("verdict", ""), "not judged"),
        why=told.get("why", ""),
        detail={name: told.get(name) for name in _OF_LABELS},
    )
    before = told.get("before", {})
    for name, part in {"coverage": told.get("coverage"), **told.get("metrics", {})}.items():
        if isinstance(part, dict):
            yield Finding(
                monitor="performance",
                subject=name,
                value=part.get("estimate"),
                low=part.get("low"),
                high=part.get("high"),
                baseline=before.get(name, {}).get("estimate"),
                rows=part.get("n") or rows,
            )
    for name, why in told.get("undefined", {}).items():
        if name != "loss":
            yield Finding(
                monitor="performance",
                subject=name,
                value=None,
                rows=rows,
                verdict="not judged",
                why=f"Not defined by these rows: {why}",
            )
