"""Callers of an endpoint that nobody declared, and things that stand on what goes away."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.debt.facts import World
from mainspring.debt.findings import DebtFinding, finding
from mainspring.ground.clock import iso
from mainspring.ground.records import DAY_S


def undeclared(world: World) -> Iterator[DebtFinding]:
    """Find callers seen in the traffic of an endpoint that are no declared consumer of it."""
    for endpoint in world.endpoints:
        for one in endpoint.callers:
            if any(consumer.is_(one) for consumer in endpoint.consumers):
                continue
            how = one.client or one.token or "NAME"
            yield finding(
                "undeclared_consumer",
                "medium" if one.client or one.token else "high",
                f"endpoint:{endpoint.name}",
                f"caller {one.name}",
                key=(endpoint.name, one.token, one.client, one.agent),
                found=f"{one.requests:,} request{'s' if one.requests != 1 else ''}, the first"
                f" {iso(one.first)}, the last"
                f" {iso(one.last)}; no consumer of that name is declared.",
                cost="Whoever changes or ends this endpoint cannot tell them, and breaks them.",
                todo=f"mainspring consumers add {endpoint.name} {how} --owner WHO"
                + ("" if one.client or one.token else "; let it show a token or send X-Client."),
                evidence={"requests": one.requests, "agent": one.agent, "last": one.last},
            )


def deprecated(world: World) -> Iterator[DebtFinding]:
    """Find what stands on something that is deprecated."""
    for one in world.deprecated:
        days = (one.until - world.now) / DAY_S
        when = f"in {days:.0f} days" if days > 0 else f"{-days:.0f} days ago"
        for name in one.dependents:
            yield finding(
                "deprecated_input",
                "high" if days < 30 else "medium",
                name,
                one.subject,
                found=f"{name} stands on {one.subject}, which ends {iso(one.until)} ({when}):"
                f" {one.reason}",
                cost=f"It breaks, or answers from what nobody looks after, from {iso(one.until)}.",
                todo=f"Use {one.use} instead."
                if one.use
                else "Find another source, or take back the deprecation.",
                evidence={"until": one.until, "subject": one.subject},
            )
