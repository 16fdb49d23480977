"""Write down what was measured on a candidate as evidence, to be cited and to age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.ground.identity import new_id
from mainspring.ground.limits import CapacityAsked, LoadLimits
from mainspring.ground.objects import Evidence, Gate, GateResult
from mainspring.readiness.checks import load
from mainspring.readiness.measured import (
    AttributionMeasured,
    BiasMeasured,
    CapacityMeasured,
    LoadMeasured,
    Measured,
)

_SHOWN = 3


def evidence_of(
    subject: str, measured: Measured, policy: Gate, opens: str, at: float, by: str
) -> list[Evidence]:
    """Return the evidence of one gate: load, bias and attribution, where they were measured.

    ``subject`` is ``model/number``; ``opens`` names the gate.
    """
    found: list[Evidence] = []
    if measured.load is not None and policy.load is not None:
        found.append(of_load(subject, measured.load, policy.load, at, by, opens=[opens]))
    if measured.bias is not None and not measured.bias.why:
        found.append(_of_bias(subject, measured.bias, opens, at, by))
    if measured.attribution is not None and measured.attribution.columns:
        found.append(_of_attribution(subject, measured.attribution, opens, at, by))
    return found


def cited(result: GateResult, made: Sequence[Evidence]) -> GateResult:
    """Return a gate's result whose checks name the evidence that their figures are kept as."""
    checks = []
    for check in result.checks:
        opens = [f"evidence:{one.id}" for one in made if one.kind == check.name.partition(" ")[0]]
        checks.append(msgspec.structs.replace(check, opens=[*check.opens, *opens]))
    return msgspec.structs.replace(result, checks=checks)


def of_load(
    subject: str,
    measured: LoadMeasured,
    limits: LoadLimits,
    at: float,
    by: str,
    *,
    opens: list[str],
    automatic: bool = True,
) -> Evidence:
    """Return the evidence of a load test."""
    broken = load.exceeded(measured, limits)
    return Evidence(
        id=new_id("ev"),
        kind="load",
        subject=subject,
        passed=not broken and not measured.why,
        found="; ".join([load.said(measured), *broken]) + ".",
        at=at,
        by=by,
        automatic=automatic,
        detail=msgspec.to_builtins(measured) | {"limits": msgspec.to_builtins(limits)},
        opens=opens,
    )


def of_capacity(
    subject: str, measured: CapacityMeasured, asked: CapacityAsked, at: float, by: str, opens: str
) -> Evidence:
    """Return the evidence of a search for capacity."""
    return Evidence(
        id=new_id("ev"),
        kind="load",
        subject=subject,
        passed=not measured.why and not measured.errors,
        found=_capacity_said(measured, asked),
        at=at,
        by=by,
        automatic=False,
        detail={"capacity": msgspec.to_builtins(measured), "asked": msgspec.to_builtins(asked)},
        opens=[opens],
    )


def _capacity_said(measured: CapacityMeasured, asked: CapacityAsked) -> str:
    if measured.why:
        return f"{measured.why}."
    said = (
        f"One worker answers {measured.peak_rps:,.0f} requests a second at most, from"
        f" {measured.knee_connections} connections on, then with p99"
        f" {measured.saturated_p99_ms:.3g} ms; it should have {measured.bears_rps:,.0f}"
    )
    if measured.cpu_us is not None:
        said += f"; {measured.cpu_us:.0f} us CPU a request"
    if asked.p99_ms is not None and not measured.bears_rps:
        said += f"; p99 {asked.p99_ms:g} ms is never held"
    if measured.workers is not None:
        said += f"; {asked.rate:,.0f} a second need {measured.workers} workers"
    if measured.errors:
        said += f"; {measured.errors} requests failed"
    return f"{said}."


def _of_bias(subject: str, measured: BiasMeasured, opens: str, at: float, by: str) -> Evidence:
    compared = measured.comparisons
    bad = [one.subject for one in compared if one.outside or not one.judged]
    told = "no facet is bounded" if not compared else "none is surely outside of what is allowed"
    if bad:
        told = f"not within what is allowed: {', '.join(bad[:_SHOWN])}"
    detail: dict[str, Any] = msgspec.to_builtins(measured)
    return Evidence(
        id=new_id("ev"),
        kind="bias",
        subject=subject,
        passed=not bad if compared else None,
        found=f"{len(compared)} comparisons of facets on {measured.rows:,} rows: {told}.",
        at=at,
        by=by,
        detail=detail,
        opens=[opens, f"artifact:{measured.report}"],
    )


def _of_attribution(
    subject: str, measured: AttributionMeasured, opens: str, at: float, by: str
) -> Evidence:
    first = ", ".join(f"{one.column} {one.share:.0%}" for one in measured.columns[:_SHOWN])
    where = "fresh rows" if measured.labelled else "training rows"
    return Evidence(
        id=new_id("ev"),
        kind="attribution",
        subject=subject,
        passed=None,
        found=f"Shuffled one at a time among {measured.rows:,} {where}, most moved by: {first}.",
        at=at,
        by=by,
        detail=msgspec.to_builtins(measured),
        opens=[opens],
    )
