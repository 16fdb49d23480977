"""Callbacks: answers by a token that a run handed out. Who holds it needs no login."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.web.api.waits import Broke, Came
from mainspring.workspace.opening import Workspace

Token = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="The token, as the step that sends it out was given it.",
        examples=["cb_u3lVxP0mYb8eK1tq0n9hJc5RrZ7aWfXsD2gQ4oTiLkE"],
    ),
]


class AnswerCallback(Request, frozen=True, kw_only=True):
    """What came of work outside of a run."""

    token: Token
    value: Came = None
    error: Broke = ""
    error_type: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z_][A-Za-z0-9_]{0,199}$",
            description="The type of that error, as ms.catch knows it.",
            examples=["CallbackFailed"],
        ),
    ] = "CallbackFailed"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Whose wait has ended."""

    run: Annotated[str, Meta(description="The run that goes on.")]
    step: Annotated[str, Meta(description="The step that had waited.")]


class CallbackAlive(Request, frozen=True, kw_only=True):
    """A sign of life from whoever works on what was asked."""

    token: Token


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """How long the wait goes on."""

    until: Annotated[float | None, Meta(description="UTC seconds; null: for as long as it takes.")]


@operation("callbacks.answer", "POST", "/api/v1/callbacks/answer", Permission.RUN, by="callback")
def answer_callback(ws: Workspace, request: AnswerCallback) -> Answered:
    """Answer a step that waits for a callback, once: with a value, or with an error."""
    from mainspring.workspace import callbacks

    run, wait = callbacks.answer(
        ws, request.token, request.value, error=request.error, error_type=request.error_type
    )
    return Answered(run=run, step=wait.step)


@operation("callbacks.alive", "POST", "/api/v1/callbacks/alive", Permission.RUN, by="callback")
def callback_alive(ws: Workspace, request: CallbackAlive) -> Waits:
    """Say that the work goes on: the step waits for another of its heartbeats."""
    from mainspring.workspace import callbacks

    return Waits(until=callbacks.alive(ws, request.token).until)
