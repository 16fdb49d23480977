"""Loops: declare, look at, pause, ask for a retraining; and the decisions they made."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.objects import LoopSpec
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import (
    Cursor,
    Done,
    Limit,
    LoopName,
    OfLoop,
    Reason,
    Request,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import (
    DecisionPage,
    LoopStatus,
    NotRetrained,
    Settled,
    TimelineEntry,
)


class Declare(Request, frozen=True, kw_only=True):
    """The loop as it shall be."""

    spec: LoopSpec


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the declaration: the same loop again keeps its version."""

    version: int


class TellLoop(Request, frozen=True, kw_only=True):
    """Which loop, and why."""

    name: LoopName
    reason: Reason


class Pause(Request, frozen=True, kw_only=True):
    """Which loop, why, and whether a challenger in traffic is sent home first."""

    name: LoopName
    reason: Reason
    withdraw: bool = False


class Retrain(Request, frozen=True, kw_only=True):
    """Which loop, why, and how it is asked."""

    name: LoopName
    reason: Reason
    key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                description="The same key asks once, however often it is sent.",
                examples=["build-1234"],
            ),
        ]
        | None
    ) = None
    patient: Annotated[
        bool, Meta(description="Wait for the cool-down instead of being declined.")
    ] = False


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the loop was asked now; false if it was with this key before."""

    asked: bool


class OfTimeline(Request, frozen=True, kw_only=True):
    """Which loop, and how many of its newest decisions."""

    name: LoopName
    limit: Limit = 100


class Since(Request, frozen=True, kw_only=True):
    """Which loop, and since when in its own time; since its last training if nothing is said."""

    name: LoopName
    since: Annotated[float, Meta(description="UTC seconds of the loop's own time.")] | None = None


class ListDecisions(Request, frozen=True, kw_only=True):
    """Which decisions: of one loop or of all."""

    loop: LoopName | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    cursor: Cursor | None = None


@operation("loops.list", "GET", "/api/v1/loops", Permission.READ)
def list_loops(ws: Workspace) -> list[LoopStatus]:
    """List the loops by name, each with where it stands."""
    from mainspring.workspace.views.loops import loop_statuses

    return loop_statuses(ws)


@operation("loops.get", "GET", "/api/v1/loops/{name}", Permission.READ)
def get_loop(ws: Workspace, request: OfLoop) -> LoopStatus:
    """Show one loop: phase, champion, counts, and its last decision."""
    from mainspring.workspace.views.loops import loop_status

    return loop_status(ws, request.name)


@operation(
    "loops.declare",
    "POST",
    "/api/v1/loops",
    Permission.LOOP,
    example={
        "spec": {
            "name": "flights",
            "model": "flights",
            "pipeline": "project:train",
            "endpoint": "flights",
            "target": "delayed",
            "kind": "binary",
        }
    },
)
def declare(ws: Workspace, request: Declare) -> Declared:
    """Declare a loop; an edit makes a new version of the declaration.

    Its pipeline is one of this server's own project.
    """
    from mainspring.web.api.specs import checked
    from mainspring.workspace import acts

    return Declared(version=acts.declare(ws, checked(request.spec, ws.settings.root)))


@operation(
    "loops.pause",
    "POST",
    "/api/v1/loops/{name}/pause",
    Permission.LOOP,
    example={"name": "flights", "reason": "Maintenance tonight.", "withdraw": False},
)
def pause(ws: Workspace, request: Pause) -> Done:
    """Stop a loop from acting. Monitoring, and a roll-back that must be, go on.

    What is on hold and what acts all the same stands in the loop's status. With ``withdraw`` a
    challenger in traffic is sent home; without it goes on as it is, and only harm ends it.
    """
    from mainspring.workspace import acts

    acts.pause(ws, request.name, request.reason, withdraw=request.withdraw)
    return Done()


@operation(
    "loops.resume",
    "POST",
    "/api/v1/loops/{name}/resume",
    Permission.LOOP,
    example={"name": "flights", "reason": "Maintenance is over."},
)
def resume(ws: Workspace, request: TellLoop) -> Done:
    """Let a paused loop act again."""
    from mainspring.workspace import acts

    acts.resume(ws, request.name, request.reason)
    return Done()


@operation(
    "loops.retrain",
    "POST",
    "/api/v1/loops/{name}/retrain",
    Permission.RETRAIN,
    example={
        "name": "flights",
        "reason": "A new timetable begins.",
        "key": "build-1234",
        "patient": False,
    },
)
def retrain(ws: Workspace, request: Retrain) -> Asked:
    """Ask a loop for a new version now; inside its cool-down it declines, and says so.

    Made for other programs: a token with the role trigger may do this and nothing else, and the
    same key asks once. What came of it is a decision of the loop.
    """
    from mainspring.workspace import acts

    asked = acts.retrain(
        ws, request.name, request.reason, key=request.key, patient=request.patient
    )
    return Asked(asked=asked)


@operation("loops.timeline", "GET", "/api/v1/loops/{name}/timeline", Permission.READ)
def timeline(ws: Workspace, request: OfTimeline) -> list[TimelineEntry]:
    """Show what a loop decided and why, newest first, with links to what it speaks of."""
    from mainspring.workspace.views import loops

    return loops.timeline(ws, request.name, request.limit)


@operation("loops.settled", "GET", "/api/v1/loops/{name}/settled", Permission.READ)
def settled(ws: Workspace, request: OfLoop) -> Settled:
    """Say whether everything the loop was told has been worked off, and what has not."""
    from mainspring.workspace.views import loops

    return loops.settled(ws, request.name)


@operation(
    "loops.why_not",
    "GET",
    "/api/v1/loops/{name}/why-not",
    Permission.READ,
    example={"name": "flights", "since": 1_767_225_600.0},
)
def why_not(ws: Workspace, request: Since) -> NotRetrained:
    """Say why a loop trained nothing since a moment of its own time."""
    from mainspring.workspace.views import whynot

    return whynot.of_loop(ws, request.name, request.since)


@operation("decisions.list", "GET", "/api/v1/decisions", Permission.READ, example={"limit": 20})
def list_decisions(ws: Workspace, request: ListDecisions) -> DecisionPage:
    """List decisions with their reasons, newest first."""
    from mainspring.workspace.views.loops import decision_page

    return decision_page(ws, request.loop, request.limit, request.cursor)
