"""Models that stand on other models: corrections of corrections, and their own echo."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.facts import Upstream, World
from mainspring.debt.findings import DebtFinding, Severity, finding


def cascades(world: World) -> Iterator[DebtFinding]:
    """Find models whose inputs hold another model's answers; the longer the chain the worse."""
    above: dict[str, list[Upstream]] = {}
    for one in world.upstream:
        if one.reads != one.model:
            above.setdefault(one.model, []).append(one)
    for model, several in sorted(above.items()):
        for reads in sorted({one.reads for one in several}):
            mine = [one for one in several if one.reads == reads]
            chain = [model, *_longest(reads, above, {model})]
            sure = any(one.sure for one in mine)
            severity: Severity = "low" if not sure else "high" if len(chain) > 2 else "medium"
            yield finding(
                "correction_cascade",
                severity,
                f"model:{model}",
                f"model:{reads}",
                found=f"{mine[0].what} The chain is {' <- '.join(chain)}, depth"
                f" {len(chain) - 1}.",
                cost=f"A better {reads} can make {model} worse: neither can be improved alone,"
                " and both must be judged at each change.",
                todo=f"Give {model} the inputs of {reads} instead of its answers, or gate both"
                " together.",
                evidence={"depth": len(chain) - 1, "chain": chain,
                          "how": sorted({one.how for one in mine})},
            )  # fmt: skip


def _longest(model: str, above: dict[str, list[Upstream]], seen: set[str]) -> list[str]:
    tails = [
        _longest(one.reads, above, {*seen, model})
        for one in above.get(model, [])
        if one.reads not in seen and one.reads != model
    ]
    return [model, *max(tails, key=len, default=[])]


def feedback(world: World) -> Iterator[DebtFinding]:
    """Find versions that learnt from rows which their own decisions shaped."""
    for one in world.versions:
        share = one.shaped or 0.0
        if not one.echo and share <= world.limits.feedback:
            continue
        yield finding(
            "direct_feedback",
            "high" if share > 0.9 else "medium",
            one.name,
            "training set",
            key=(one.model,),
            found=one.echo
            or f"The model's own decision shaped at least {share:.0%} of the rows it learnt from.",
            cost="It confirms itself: what it never tries it never learns, and its quality on"
            " its own traffic looks better than it is.",
            todo="Keep a random share of traffic undecided, and give it weight in training.",
            evidence={"share": one.shaped},
        )
