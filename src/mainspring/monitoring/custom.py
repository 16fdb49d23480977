"""Run the project's own monitors on a window; what goes wrong in them is a finding, no crash."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.objects import CustomMonitor, Finding
from mainspring.ground.ports import Outcome
from mainspring.monitoring.sight import Sight

_TRACE_CHARS = 2_000


def custom_on_inputs(sight: Sight) -> list[Finding]:
    """Return what the monitors say that look at all rows of a window."""
    return [
        finding
        for custom in sight.policy.custom
        if custom.on == "inputs"
        for finding in _run(sight, custom)
    ]


def custom_on_labels(sight: Sight) -> list[Finding]:
    """Return what the monitors say that look at rows whose label is known."""
    return [
        finding
        for custom in sight.policy.custom
        if custom.on == "labels"
        for finding in _run(sight, custom)
    ]


def name_of(custom: CustomMonitor) -> str:
    """Return what a monitor's findings are called.

    >>> name_of(CustomMonitor(target="project:night_share"))
    'night_share'
    """
    return custom.target.rpartition(":")[2]


def _run(sight: Sight, custom: CustomMonitor) -> list[Finding]:
    if sight.beside.custom is None:
        return [_not_judged(custom, "there is no process to run it in.", {})]
    rows = sight.frame if custom.on == "inputs" else None
    if rows is None:
        rows = sight.frame.head(0) if sight.joined is None else sight.joined.rows
    outcome = sight.beside.custom(custom, rows)
    if not outcome.ok:
        return [_failed(custom, outcome)]
    found = msgspec.convert(outcome.value["found"], list[Finding])
    changed = custom.code and outcome.value["code"] != custom.code
    told = " Its code differs from what was declared." if changed else ""
    return [
        msgspec.structs.replace(
            one,
            rows=one.rows or rows.height,
            why=f"{one.why}{told}".strip(),
            detail={**one.detail, "code": outcome.value["code"]},
        )
        for one in found
    ]


def _failed(custom: CustomMonitor, outcome: Outcome) -> Finding:
    detail = {"trace": outcome.trace[-_TRACE_CHARS:]} if outcome.trace else {}
    return _not_judged(custom, outcome.error, detail)


def _not_judged(custom: CustomMonitor, why: str, detail: dict[str, Any]) -> Finding:
    return Finding(
        monitor="custom",
        subject=name_of(custom),
        value=None,
        verdict="not judged",
        why=f"Not judged: {why}",
        detail=detail,
    )
