"""Triggers: start a pipeline when something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, ModelName, Name, Request, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

if TYPE_CHECKING:
    from mainspring.engine.triggers import Standing
    from mainspring.workspace.events.verbs import Shown

TriggerName = Annotated[Name, Meta(description="The trigger's name.", examples=["on-flights"])]


class PutTrigger(Request, frozen=True, kw_only=True):
    """What happens that starts what."""

    name: TriggerName
    pipeline: Target
    on: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1000,
            description="dataset:NAME, file:PATH, model:NAME@ALIAS, run:PIPELINE, alarm:NAME"
            " or webhook.",
            examples=["dataset:flights"],
        ),
    ]
    params: Annotated[
        dict[str, Any], Meta(description="Texts may hold {event.NAME}, read from the event.")
    ] = {}
    filters: Annotated[
        list[Annotated[str, Meta(max_length=1000)]],
        Meta(max_length=20, description="NAME OP VALUE; all of them must hold of the event."),
    ] = []
    register: ModelName | None = None
    debounce_s: Annotated[
        float, Meta(description="Events closer than this start one run together.")
    ] = 0.0
    overlap: Annotated[
        Literal["skip", "queue", "allow"],
        Meta(description="What an event does while the last run goes on."),
    ] = "queue"
    per_hour: Annotated[int, Meta(description="So many runs within an hour; the rest waits.")] = 60
    depth: Annotated[int, Meta(description="The longest chain of triggers.")] = 3
    fails: Annotated[int, Meta(description="After so many failed runs in a row it rests.")] = 5
    secret: (
        Annotated[str, Meta(max_length=1000, description="What a webhook's senders sign with.")]
        | None
    ) = None


class OfTrigger(Request, frozen=True, kw_only=True):
    """Which trigger."""

    name: TriggerName


class ShowTrigger(Request, frozen=True, kw_only=True):
    """Which trigger, and how many of its events."""

    name: TriggerName
    limit: Annotated[int, Meta(ge=1, le=200, description="So many events.")] = 20


class TryTrigger(Request, frozen=True, kw_only=True):
    """Which trigger, and an event to try it with."""

    name: TriggerName
    event: (
        Annotated[dict[str, Any], Meta(description="Default: the newest that happened.")] | None
    ) = None


class TriggerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as it stands."""

    name: str
    on: str
    pipeline: str
    params: dict[str, Any]
    filters: list[str]
    register: str | None
    debounce_s: float
    overlap: str
    per_hour: int
    depth: int
    fails: int
    paused: float | None
    why: str  #: it rests
    hook: str | None  #: the path that a webhook's senders post to


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and what became of it."""

    id: int
    at: float
    event: dict[str, Any]
    state: str  #: waiting, begun, skipped or failed
    why: str
    run: str | None
    status: str | None  #: of the run


class TriggerShown(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger and its newest events."""

    trigger: TriggerRow
    events: list[EventRow]


class TriggerAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that was added; the secret is told this once."""

    trigger: TriggerRow
    secret: str | None


class TriggerTried(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of an event."""

    starts: bool
    why: str
    pipeline: str
    params: dict[str, Any]
    event: dict[str, Any]


def _row(one: Standing) -> TriggerRow:
    given = one.trigger
    return TriggerRow(
        name=given.name,
        on=given.on,
        pipeline=given.pipeline,
        params=given.params,
        filters=given.filters,
        register=given.register,
        debounce_s=given.debounce_s,
        overlap=given.overlap,
        per_hour=given.per_hour,
        depth=given.depth,
        fails=given.fails,
        paused=one.paused,
        why=one.why,
        hook=f"/api/v1/hooks/{given.name}" if given.source == "webhook" else None,
    )


def _event(one: Shown) -> EventRow:
    event = one.event
    return EventRow(
        id=event.id,
        at=event.at,
        event=event.body,
        state=event.state,
        why=event.why,
        run=one.run,
        status=one.status,
    )


@operation("triggers.list", "GET", "/api/v1/triggers", Permission.READ)
def list_triggers(ws: Workspace) -> list[TriggerRow]:
    """List what starts a pipeline when something happens, by name."""
    from mainspring.workspace.events import verbs

    return [_row(one) for one in verbs.listed(ws)]


@operation("triggers.get", "GET", "/api/v1/triggers/{name}", Permission.READ)
def get_trigger(ws: Workspace, request: ShowTrigger) -> TriggerShown:
    """Show a trigger, its newest events, what became of them and their runs."""
    from mainspring.workspace.events import verbs

    one, events = verbs.shown(ws, request.name, request.limit)
    return TriggerShown(trigger=_row(one), events=[_event(event) for event in events])


@operation(
    "triggers.put",
    "POST",
    "/api/v1/triggers",
    Permission.RUN,
    example={"name": "on-flights", "pipeline": "project:train", "on": "dataset:flights"},
)
def put_trigger(ws: Workspace, request: PutTrigger) -> TriggerAdded:
    """Start a pipeline whenever something happens; a trigger of the same name is replaced.

    Each event starts at most one run. What has happened already starts nothing.
    """
    from mainspring.engine.triggers import Trigger
    from mainspring.workspace.events import sources, verbs

    source, what = sources.read(request.on)
    given = {
        name: getattr(request, name)
        for name in Trigger.__struct_fields__
        if name in request.__struct_fields__
    }
    wanted = msgspec.convert(
        {**given, "source": source, "what": what, "root": ws.settings.root}, Trigger
    )
    made = verbs.put(ws, wanted, secret=request.secret)
    one, _ = verbs.shown(ws, request.name, 1)
    return TriggerAdded(trigger=_row(one), secret=made.secret)


@operation("triggers.remove", "DELETE", "/api/v1/triggers/{name}", Permission.RUN)
def remove_trigger(ws: Workspace, request: OfTrigger) -> Done:
    """Start nothing by a trigger any more. What it began goes on."""
    from mainspring.workspace.events import verbs

    verbs.remove(ws, request.name)
    return Done()


@operation(
    "triggers.pause",
    "POST",
    "/api/v1/triggers/{name}/pause",
    Permission.RUN,
    example={"name": "on-flights"},
)
def pause_trigger(ws: Workspace, request: OfTrigger) -> Done:
    """Let a trigger rest: it notes nothing and begins nothing."""
    from mainspring.workspace.events import verbs

    verbs.pause(ws, request.name)
    return Done()


@operation(
    "triggers.resume",
    "POST",
    "/api/v1/triggers/{name}/resume",
    Permission.RUN,
    example={"name": "on-flights"},
)
def resume_trigger(ws: Workspace, request: OfTrigger) -> Done:
    """Let a trigger work again; what happened meanwhile starts nothing."""
    from mainspring.workspace.events import verbs

    verbs.resume(ws, request.name)
    return Done()


@operation(
    "triggers.test",
    "POST",
    "/api/v1/triggers/{name}/test",
    Permission.READ,
    example={"name": "on-flights", "event": {"version": "7"}},
)
def test_trigger(ws: Workspace, request: TryTrigger) -> TriggerTried:
    """Say what would come of an event; nothing is started."""
    from mainspring.workspace.events import verbs

    found = verbs.tried(ws, request.name, request.event)
    return msgspec.convert(msgspec.to_builtins(found), TriggerTried)
