"""Schedules: run a pipeline of the project by the clock."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, ModelName, Name, Request, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

ScheduleName = Annotated[
    Name, Meta(description="The schedule's name.", examples=["flights-nightly"])
]


class PutSchedule(Request, frozen=True, kw_only=True):
    """What runs when."""

    name: ScheduleName
    pipeline: Target
    cron: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="Five fields: minute, hour, day, month, weekday.",
            examples=["30 2 * * 1"],
        ),
    ]
    params: dict[str, Any] = {}
    tz: Annotated[
        str, Meta(min_length=1, max_length=64, description="Whose wall clock counts.")
    ] = "UTC"
    register: ModelName | None = None


class OfSchedule(Request, frozen=True, kw_only=True):
    """Which schedule."""

    name: ScheduleName


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, what it starts, and when next, in UTC seconds."""

    name: str
    cron: str
    tz: str
    next: float
    pipeline: str | None = None
    params: dict[str, Any] = {}
    register: str | None = None
    loop: str | None = None  #: the loop that it asks for a retraining, if it is a loop's own


@operation("schedules.list", "GET", "/api/v1/schedules", Permission.READ)
def list_schedules(ws: Workspace) -> list[ScheduleRow]:
    """List the schedules by name, those of loops too, each with its next fire time."""
    from mainspring.workspace import crons

    return [
        ScheduleRow(
            name=one.name,
            cron=one.cron,
            tz=one.tz,
            next=following,
            pipeline=one.payload.get("pipeline"),
            params=one.payload.get("params", {}),
            register=one.payload.get("register"),
            loop=one.payload.get("loop"),
        )
        for one, following in crons.listed(ws)
    ]


@operation(
    "schedules.put",
    "POST",
    "/api/v1/schedules",
    Permission.RUN,
    example={"name": "flights-nightly", "pipeline": "project:train", "cron": "30 2 * * *"},
)
def put_schedule(ws: Workspace, request: PutSchedule) -> Done:
    """Run a pipeline whenever the clock says so; a schedule of the same name is replaced.

    Each fire time starts one run. After downtime the latest missed time does, once.
    """
    from mainspring.workspace import crons

    crons.put(
        ws,
        request.name,
        request.pipeline,
        request.cron,
        request.params,
        tz=request.tz,
        register=request.register,
    )
    return Done()


@operation("schedules.remove", "DELETE", "/api/v1/schedules/{name}", Permission.RUN)
def remove_schedule(ws: Workspace, request: OfSchedule) -> Done:
    """Run nothing by a schedule any more. What it started goes on."""
    from mainspring.workspace import crons

    crons.remove(ws, request.name)
    return Done()
