"""Schedules: run a pipeline of the project by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, ModelName, Name, Request, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

if TYPE_CHECKING:
    from mainspring.workspace.crons import Fired, Listed

ScheduleName = Annotated[
    Name, Meta(description="The schedule's name.", examples=["flights-nightly"])
]
CatchUp = Annotated[
    Literal["skip", "latest", "all"],
    Meta(description="Which times that nobody was there for still fire."),
]
Overlap = Annotated[
    Literal["skip", "queue", "allow"],
    Meta(description="What a fire time does while the run before goes on."),
]


class PutSchedule(Request, frozen=True, kw_only=True):
    """What runs when: by a cron line, or at a distance."""

    name: ScheduleName
    pipeline: Target
    cron: Annotated[
        str,
        Meta(
            max_length=200,
            description="Five fields: minute, hour, day, month, weekday.",
            examples=["30 2 * * 1"],
        ),
    ] = ""
    every_s: Annotated[float, Meta(description="Whole seconds between two fire times.")] | None = (
        None
    )
    anchor: Annotated[
        float, Meta(description="UTC seconds from which every_s counts, both ways.")
    ] = 0.0
    params: dict[str, Any] = {}
    tz: Annotated[
        str, Meta(min_length=1, max_length=64, description="Whose wall clock counts.")
    ] = "UTC"
    register: ModelName | None = None
    start: Annotated[float, Meta(description="Nothing before it fires, UTC seconds.")] | None = (
        None
    )
    end: Annotated[float, Meta(description="Nothing after it fires, UTC seconds.")] | None = None
    catch_up: CatchUp = "latest"
    most: Annotated[
        int, Meta(ge=1, le=1000, description="Of catch_up 'all': so many, the newest.")
    ] = 100
    overlap: Overlap | None = None
    jitter_s: Annotated[
        float, Meta(ge=0, le=86_400, description="Work begins so much later at most.")
    ] = 0.0


class OfSchedule(Request, frozen=True, kw_only=True):
    """Which schedule."""

    name: ScheduleName


class ShowSchedule(Request, frozen=True, kw_only=True):
    """Which schedule, and how much of its past."""

    name: ScheduleName
    limit: Annotated[int, Meta(ge=1, le=200, description="So many past firings.")] = 20


class Backfill(Request, frozen=True, kw_only=True):
    """Which fire times to make up for."""

    name: ScheduleName
    begin: Annotated[float, Meta(description="The first time that counts, UTC seconds.")]
    end: Annotated[float, Meta(description="The last time that counts, UTC seconds.")]


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, what it starts, and when next, in UTC seconds."""

    name: str
    cron: str  #: empty where every_s is given
    tz: str
    next: float | None  #: none while it is paused, or once it has ended
    every_s: float | None = None
    anchor: float = 0.0
    start: float | None = None
    end: float | None = None
    catch_up: str = "latest"
    most: int = 100
    overlap: str = "allow"
    jitter_s: float = 0.0
    paused: float | None = None
    pipeline: str | None = None
    params: dict[str, Any] = {}
    register: str | None = None
    loop: str | None = None  #: the loop that it asks for a retraining, if it is a loop's own


class FiringRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a fire time."""

    fire_at: float
    dealt_with: float
    outcome: str  #: fired, queued or skipped
    why: str  #: it was skipped, or started no run
    missed: int  #: earlier fire times that it stands for
    by: str | None  #: who asked by hand
    run: str | None
    status: str | None  #: of the run


class ScheduleShown(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, its next fire times, and what became of the last."""

    schedule: ScheduleRow
    upcoming: list[float]
    firings: list[FiringRow]


class FiredNow(msgspec.Struct, frozen=True, kw_only=True):
    """What came of firing by hand."""

    fire_at: float
    outcome: str  #: fired or queued


class BackfillBegun(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making up for a span."""

    asked: int  #: fire times in the span
    begun: int  #: of them: these run now, or wait for their turn
    before: int  #: of them: these had fired before


@operation("schedules.list", "GET", "/api/v1/schedules", Permission.READ)
def list_schedules(ws: Workspace) -> list[ScheduleRow]:
    """List the schedules by name, those of loops too, each with its next fire time."""
    from mainspring.workspace import crons

    return [_row(one) for one in crons.listed(ws)]


@operation("schedules.get", "GET", "/api/v1/schedules/{name}", Permission.READ)
def get_schedule(ws: Workspace, request: ShowSchedule) -> ScheduleShown:
    """Show a schedule: its next ten fire times, the last ones, and their runs."""
    from mainspring.workspace import crons

    found, past = crons.shown(ws, request.name, request.limit)
    return ScheduleShown(
        schedule=_row(found), upcoming=found.next, firings=[_firing(one) for one in past]
    )


def _row(one: Listed) -> ScheduleRow:
    given = one.standing.schedule
    return ScheduleRow(
        name=given.name,
        cron=given.cron,
        tz=given.tz,
        next=one.next[0] if one.next else None,
        every_s=given.every_s,
        anchor=given.anchor,
        start=given.start,
        end=given.end,
        catch_up=given.catch_up,
        most=given.most,
        overlap=given.overlap,
        jitter_s=given.jitter_s,
        paused=one.standing.paused,
        pipeline=given.payload.get("pipeline"),
        params=given.payload.get("params", {}),
        register=given.payload.get("register"),
        loop=given.payload.get("loop"),
    )


def _firing(one: Fired) -> FiringRow:
    past = one.past
    return FiringRow(
        fire_at=past.fire_at,
        dealt_with=past.fired,
        outcome=past.outcome,
        why=past.why,
        missed=past.missed,
        by=past.by,
        run=one.run,
        status=one.status,
    )


@operation(
    "schedules.put",
    "POST",
    "/api/v1/schedules",
    Permission.RUN,
    example={"name": "flights-nightly", "pipeline": "project:train", "cron": "30 2 * * *"},
)
def put_schedule(ws: Workspace, request: PutSchedule) -> Done:
    """Run a pipeline whenever the clock says so; a schedule of the same name is replaced.

    Each fire time starts one run. After downtime the latest missed time does, once, unless
    catch_up says otherwise. One run at a time, unless overlap says otherwise.
    """
    from mainspring.workspace import crons

    given = {
        name: getattr(request, name)
        for name in crons.Given.__struct_fields__
        if name in request.__struct_fields__
    }
    crons.put(
        ws,
        request.name,
        request.pipeline,
        crons.Given(**given),
        request.params,
        register=request.register,
    )
    return Done()


@operation("schedules.remove", "DELETE", "/api/v1/schedules/{name}", Permission.RUN)
def remove_schedule(ws: Workspace, request: OfSchedule) -> Done:
    """Run nothing by a schedule any more. What it started goes on."""
    from mainspring.workspace import crons

    crons.remove(ws, request.name)
    return Done()


@operation(
    "schedules.pause",
    "POST",
    "/api/v1/schedules/{name}/pause",
    Permission.RUN,
    example={"name": "flights-nightly"},
)
def pause_schedule(ws: Workspace, request: OfSchedule) -> Done:
    """Let a schedule rest: neither the clock nor its queue starts anything."""
    from mainspring.workspace import crons

    crons.pause(ws, request.name)
    return Done()


@operation(
    "schedules.resume",
    "POST",
    "/api/v1/schedules/{name}/resume",
    Permission.RUN,
    example={"name": "flights-nightly"},
)
def resume_schedule(ws: Workspace, request: OfSchedule) -> Done:
    """Let a schedule fire again from now on; what came meanwhile is not made up for."""
    from mainspring.workspace import crons

    crons.resume(ws, request.name)
    return Done()


@operation(
    "schedules.run",
    "POST",
    "/api/v1/schedules/{name}/run",
    Permission.RUN,
    example={"name": "flights-nightly"},
)
def run_schedule(ws: Workspace, request: OfSchedule) -> FiredNow:
    """Fire a schedule by hand, now, paused or not."""
    from mainspring.workspace import crons

    made = crons.run_now(ws, request.name)
    return FiredNow(fire_at=made.fire_at, outcome=made.outcome)


@operation(
    "schedules.backfill",
    "POST",
    "/api/v1/schedules/{name}/backfill",
    Permission.RUN,
    example={"name": "flights-nightly", "begin": 1795996800.0, "end": 1796083200.0},
)
def backfill_schedule(ws: Workspace, request: Backfill) -> BackfillBegun:
    """Run what should have fired in a span and has not, oldest first, each with its own time."""
    from mainspring.workspace import crons

    made = crons.backfill(ws, request.name, request.begin, request.end)
    return BackfillBegun(asked=made.asked, begun=made.begun, before=made.before)
