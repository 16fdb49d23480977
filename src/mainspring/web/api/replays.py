"""Replays: a loop's history put to policies and to time, and what was found the last time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.durations import seconds
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.retraining.ageing import Staleness
from mainspring.retraining.outcomes import Simulation
from mainspring.web.api.fields import LoopName, OfLoop, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

Length = Annotated[str, Meta(max_length=20)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]
PolicyText = Annotated[
    str, Meta(min_length=1, max_length=300, pattern=r"^[a-z][a-z-]*(,[A-Za-z_-]+=[^,]+)*$")
]


class Simulate(Request, frozen=True, kw_only=True):
    """Which loop, and the policies: a name, or a name with changes, ``default,cooldown=7d``.

    Without any the declared one meets static and every-period.
    """

    name: LoopName
    policies: Annotated[list[PolicyText], Meta(min_length=1, max_length=10)] | None = None
    period: Length | None = None
    delay: Length | None = None


class Grow(Request, frozen=True, kw_only=True):
    """Which loop; what is not said is as it declares."""

    name: LoopName
    period: Length | None = None
    value_per_loss: Amount | None = None
    cost: Amount | None = None
    tolerance: Amount | None = None


@operation(
    "replays.simulate",
    "POST",
    "/api/v1/loops/{name}/simulate",
    Permission.LOOP,
    example={"name": "flights", "policies": ["static", "declared,cooldown=7d"]},
)
def simulate(ws: Workspace, request: Simulate) -> Simulation:
    """Replay a loop's history through policies, and keep the figures as evidence."""
    from mainspring.workspace.replaying import loops

    return loops.simulate(
        ws,
        request.name,
        request.policies or loops.USUAL,
        period_s=_seconds(request.period, "period"),
        delay_s=_seconds(request.delay, "delay"),
    )


@operation(
    "replays.age",
    "POST",
    "/api/v1/loops/{name}/staleness",
    Permission.LOOP,
    example={"name": "flights", "cost": 5.0},
)
def age(ws: Workspace, request: Grow) -> Staleness:
    """Say how models age on a loop's history, and keep the curve as evidence."""
    from mainspring.workspace.replaying import loops

    return loops.age(
        ws,
        request.name,
        period_s=_seconds(request.period, "period"),
        value_per_loss=request.value_per_loss,
        cost=request.cost,
        tolerance=request.tolerance,
    )


@operation("replays.simulation", "GET", "/api/v1/loops/{name}/simulate", Permission.READ)
def simulation(ws: Workspace, request: OfLoop) -> Evidence | None:
    """Show what a loop's history said of policies the last time it was asked; or nothing."""
    from mainspring.workspace.replaying import loops

    return loops.newest(ws, request.name, "simulation")


@operation("replays.staleness", "GET", "/api/v1/loops/{name}/staleness", Permission.READ)
def staleness(ws: Workspace, request: OfLoop) -> Evidence | None:
    """Show how models aged on a loop's history the last time it was asked; or nothing."""
    from mainspring.workspace.replaying import loops

    return loops.newest(ws, request.name, "staleness")


def _seconds(text: str | None, field: str) -> float | None:
    return None if text is None else seconds(text, field)
