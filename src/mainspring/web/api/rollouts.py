"""Rollouts: let versions meet traffic by hand, move their shares, end them, see how they stand."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.objects import Rollout
from mainspring.ground.permissions import Permission
from mainspring.retraining import declaring
from mainspring.web.api.fields import (
    ColumnName,
    EndpointName,
    Limit,
    Name,
    Number,
    Reason,
    Request,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.rollouts import RolloutReport

Share = Annotated[float, Meta(ge=0, le=1, description="Of the rows, 0 to 1.", examples=[0.2])]
Length = Annotated[
    str, Meta(min_length=1, max_length=32, description="A length of time.", examples=["1h"])
]


class VariantWeight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of an A/B rollout and its part of the rows."""

    version: Number
    weight: Annotated[float, Meta(ge=0, description="Weights need not sum to anything.")]


Variants = Annotated[
    list[VariantWeight],
    Meta(min_length=1, max_length=10, description="Versions and weights, the champion's too."),
]


class StartRollout(Request, frozen=True, kw_only=True):
    """Which version, or versions by weight, meet which endpoint's traffic, and how."""

    endpoint: EndpointName
    reason: Reason
    version: Number | None = None
    strategy: Literal["shadow", "canary", "linear", "blue_green"] = "canary"
    share: Share = 0.2
    steps: Annotated[
        str,
        Meta(
            max_length=2000,
            description="Of a canary: share:period:rows:labels, parted by commas.",
            examples=["5%:1h:500,20%:1h,50%:1d"],
        ),
    ] = ""
    every: Annotated[
        Length | None, Meta(description="Of a linear rollout: how long between steps.")
    ] = None
    bake: Annotated[Length, Meta(description="How long the last share is kept.")] = "0s"
    variants: Variants | None = None
    sticky: Annotated[
        ColumnName | None,
        Meta(description="An input: rows with the same value are answered alike."),
    ] = None
    ends: Annotated[
        Literal["hand", "proven", "baked"],
        Meta(description="What promotes: a person, the proof, or the end of the baking."),
    ] = "hand"
    alpha: Annotated[float, Meta(gt=0, lt=1, description="Chance of a false proof.")] = 0.05
    harm_alpha: Annotated[
        float, Meta(gt=0, lt=1, description="Chance of sending a harmless version home.")
    ] = 0.01
    min_period: Length = "0s"
    max_period: Length = "28d"
    guard: Annotated[bool, Meta(description="The guard rails that need no labels.")] = True
    max_shift: (
        Annotated[float, Meta(gt=0, le=1, description="Mean difference of scores that may be.")]
        | None
    ) = None


class ChangeRollout(Request, frozen=True, kw_only=True):
    """The share, or the weights, from now on."""

    endpoint: EndpointName
    reason: Reason
    share: Share | None = None
    variants: Variants | None = None


class EndRollout(Request, frozen=True, kw_only=True):
    """How to end what rolls out: the champion stays, or a version is promoted."""

    endpoint: EndpointName
    reason: Reason
    promote: Number | None = None


class OfRollout(Request, frozen=True, kw_only=True):
    """The rollout that runs on an endpoint, its newest, or the one named."""

    endpoint: EndpointName
    rollout: Annotated[Name | None, Meta(description="The rollout's id.")] = None


class ListRollouts(Request, frozen=True, kw_only=True):
    """Of which endpoint, and how many."""

    endpoint: EndpointName | None = None
    limit: Limit = 100


@operation("rollouts.list", "GET", "/api/v1/rollouts", Permission.READ)
def list_rollouts(ws: Workspace, request: ListRollouts) -> list[Rollout]:
    """List rollouts, newest first, of one endpoint or of all."""
    from mainspring.workspace.views import rollouts

    return rollouts.listed(ws, request.endpoint, request.limit)


@operation("rollouts.show", "GET", "/api/v1/endpoints/{endpoint}/rollout", Permission.READ)
def show(ws: Workspace, request: OfRollout) -> RolloutReport | None:
    """Show how a rollout stands: agreement, score differences, latencies, rails, evidence.

    Null if nothing ever rolled out there.
    """
    from mainspring.workspace.views import rollouts

    return rollouts.report(ws, request.endpoint, request.rollout)


@operation(
    "rollouts.start",
    "POST",
    "/api/v1/endpoints/{endpoint}/rollout",
    Permission.PROMOTE,
    example={
        "endpoint": "flights",
        "version": 8,
        "strategy": "canary",
        "steps": "5%:1h:500,20%:1h,50%:1d",
        "bake": "1h",
        "ends": "proven",
        "reason": "The new timetable.",
    },
)
def start(ws: Workspace, request: StartRollout) -> Rollout:
    """Let a version, or several by weight, meet an endpoint's traffic beside its champion.

    Guard rails send it home by themselves; no loop decides what was begun by hand.
    """
    from mainspring.workspace import rollingout

    policy = declaring.Rollout(
        request.strategy,
        share=request.share,
        steps=request.steps,
        every=request.every,
        bake=request.bake,
        alpha=request.alpha,
        harm_alpha=request.harm_alpha,
        min_period=request.min_period,
        max_period=request.max_period,
        guard=request.guard,
        max_shift=request.max_shift,
    )
    return rollingout.start(
        ws,
        request.endpoint,
        request.reason,
        version=request.version,
        policy=policy,
        variants=_weights(request.variants),
        sticky=request.sticky,
        ends=request.ends,
    )


@operation(
    "rollouts.change",
    "POST",
    "/api/v1/endpoints/{endpoint}/rollout/change",
    Permission.PROMOTE,
    example={"endpoint": "flights", "share": 0.5, "reason": "The morning went well."},
)
def change(ws: Workspace, request: ChangeRollout) -> Rollout:
    """Set the share, or the weights, of what rolls out now. Its steps are over then."""
    from mainspring.workspace import rollingout

    return rollingout.change(
        ws,
        request.endpoint,
        request.reason,
        share=request.share,
        weights=_weights(request.variants),
    )


@operation(
    "rollouts.end",
    "POST",
    "/api/v1/endpoints/{endpoint}/rollout/end",
    Permission.PROMOTE,
    example={"endpoint": "flights", "promote": 8, "reason": "It proved better."},
)
def end(ws: Workspace, request: EndRollout) -> Rollout:
    """End what rolls out: the champion stays, or a version of it is promoted."""
    from mainspring.workspace import rollingout

    return rollingout.end(ws, request.endpoint, request.reason, promote=request.promote)


def _weights(variants: list[VariantWeight] | None) -> dict[int, float] | None:
    return None if variants is None else {one.version: one.weight for one in variants}
