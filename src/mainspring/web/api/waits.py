"""Steps that wait: list them, answer those that ask a person, bring news to the others."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, Reason, Request, RunId
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.waiting import Waiting

GrownStep = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=250,
        description="The step's name in the run.",
        examples=["release"],
    ),
]

Came = Annotated[Any, Meta(description="What came: the step's result.", examples=[42])]
Broke = Annotated[
    str,
    Meta(
        max_length=2000,
        description="What went wrong instead: the step fails with it.",
        examples=[""],
    ),
]


class ListWaiting(Request, frozen=True, kw_only=True):
    """Which steps that wait to list."""

    run: RunId | None = None


@operation("waits.list", "GET", "/api/v1/waiting", Permission.READ)
def list_waiting(ws: Workspace, request: ListWaiting) -> list[Waiting]:
    """List the steps that wait for a person, an event or a time, the longest first."""
    from mainspring.workspace import waiting

    return waiting.waiting(ws, request.run)


class AnswerStep(Request, frozen=True, kw_only=True):
    """An answer to a step that waits for an approval."""

    run: RunId
    step: GrownStep
    reason: Reason


@operation("waits.approve", "POST", "/api/v1/runs/{run}/steps/{step}/approve", Permission.PROMOTE)
def approve_step(ws: Workspace, request: AnswerStep) -> Done:
    """Say yes to a step that waits for an approval; who, when and why is kept with it."""
    from mainspring.workspace import waiting

    waiting.approve(ws, request.run, request.step, request.reason)
    return Done()


@operation("waits.reject", "POST", "/api/v1/runs/{run}/steps/{step}/reject", Permission.PROMOTE)
def reject_step(ws: Workspace, request: AnswerStep) -> Done:
    """Say no to a step that waits for an approval; who, when and why is kept with it."""
    from mainspring.workspace import waiting

    waiting.reject(ws, request.run, request.step, request.reason)
    return Done()


class SignalRun(Request, frozen=True, kw_only=True):
    """News of an event, for the steps of a run that wait for it."""

    run: RunId
    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=250,
            description="The event's name, or that of one step which waits for it.",
            examples=["rows-came"],
        ),
    ]
    value: Came = None
    error: Broke = ""
    error_type: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z_][A-Za-z0-9_]{0,199}$",
            description="The type of that error, as ms.catch knows it.",
            examples=["EventFailed"],
        ),
    ] = "EventFailed"


class Signalled(msgspec.Struct, frozen=True, kw_only=True):
    """Who was told."""

    steps: Annotated[list[str], Meta(description="The steps that were told.")]


@operation("waits.signal", "POST", "/api/v1/runs/{run}/signal", Permission.RUN)
def signal_run(ws: Workspace, request: SignalRun) -> Signalled:
    """Bring news of an event to a run that waits for it, or will; their value is its result."""
    from mainspring.workspace import waiting

    told = waiting.signal(
        ws,
        request.run,
        request.name,
        request.value,
        error=request.error,
        error_type=request.error_type,
    )
    return Signalled(steps=told)
