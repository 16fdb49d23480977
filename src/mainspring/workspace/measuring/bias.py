"""Measure how facets are treated, on the rows a candidate was measured on, and keep the report."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.ground.identity import canonical
from mainspring.ground.objects import Facet, Finding, MonitorPolicy
from mainspring.monitoring import bias
from mainspring.readiness.measured import BiasFigures, BiasMeasured
from mainspring.workspace.measuring.subject import Candidate


def measure(
    candidate: Candidate,
    bounded: Sequence[Facet],
    watched: Sequence[Facet],
    policy: MonitorPolicy,
) -> BiasMeasured | None:
    """Return the comparisons of bounded facets; the report holds the watched ones as well.

    None where no facet is declared anywhere.
    """
    if not bounded and not watched:
        return None
    reference = candidate.reference
    if reference is None or not reference.height:
        return BiasMeasured(why="the version keeps no rows that it was measured on")
    signature = candidate.served.signature
    comparisons: list[BiasFigures] = []
    report: list[Finding] = []
    for facet in bounded:
        found = bias.report(reference, facet, signature, policy)
        report += found
        comparisons += [_figures(one) for one in found if "metric" not in one.detail]
    for facet in watched:
        if facet not in bounded:
            report += bias.report(reference, facet, signature, policy)
    digest = candidate.objects.put(canonical(msgspec.to_builtins(report)))
    return BiasMeasured(comparisons=comparisons, rows=reference.height, report=digest)


def _figures(one: Finding) -> BiasFigures:
    return BiasFigures(
        subject=one.subject,
        outside=list(one.detail.get("outside", [])),
        judged=one.verdict in ("alarm", "quiet"),
        found=one.why,
    )
