"""The logs of the server's processes. They hold whatever code said: for administrators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.api.fields import (
    Done,
    EndpointName,
    Limit,
    LoopName,
    Name,
    Request,
    RunId,
    When,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.logs.alarming import RateSeries, RuleStanding
from mainspring.workspace.logs.lines import MOST_TEXT, LogLine, Query
from mainspring.workspace.logs.rules import LogRule
from mainspring.workspace.opening import Workspace

Level = Annotated[
    str,
    Meta(max_length=20, description="At least as serious: debug, info, warning, error, critical."),
]


class FindLines(Request, frozen=True, kw_only=True):
    """Which lines: all of what is given must hold."""

    text: Annotated[
        str,
        Meta(max_length=MOST_TEXT, description="Stands in a line; capital letters do not count."),
    ] = ""
    since: When | None = None
    until: When | None = None
    process: Annotated[Name, Meta(description="web, engine, endpoint-NAME, cli...")] | None = None
    level: Level = "debug"
    run: RunId | None = None
    below: Annotated[bool, Meta(description="Also of the runs that its steps started.")] = False
    step: Name | None = None
    endpoint: EndpointName | None = None
    loop: LoopName | None = None
    task: Annotated[str, Meta(max_length=400)] | None = None
    request: Annotated[Name, Meta(description="The X-Request-Id of an answer.")] | None = None
    prediction: Annotated[Name, Meta(description="The id of one row's prediction.")] | None = None
    limit: Limit = 100


class NewRule(Request, frozen=True, kw_only=True):
    """What to look for, and from how many lines on it is alarming."""

    name: Name
    text: Annotated[str, Meta(max_length=MOST_TEXT, description="Stands in a line.")] = ""
    level: Level = "debug"
    process: Name | None = None
    endpoint: EndpointName | None = None
    above: Annotated[int, Meta(ge=0, le=10**9, description="More lines are too many.")] = 0
    within_s: Annotated[float, Meta(ge=1, le=86_400, description="Within so many seconds.")] = 60.0
    note: Annotated[str, Meta(max_length=2000, description="What to do about it.")] = ""


class OfRule(Request, frozen=True, kw_only=True):
    """Which rule over the logs."""

    name: Name


class OfRates(Request, frozen=True, kw_only=True):
    """Which rule, how far back, and in stretches of what length."""

    name: Name
    since_s: Annotated[float, Meta(ge=1, le=31_536_000, description="So far back.")] = 86_400.0
    step_s: Annotated[float, Meta(ge=1, le=86_400, description="Length of a stretch.")] = 60.0


@operation(
    "logs.search",
    "GET",
    "/api/v1/logs",
    Permission.ADMIN,
    example={"since": "1h", "level": "warning"},
)
def search(ws: Workspace, request: FindLines) -> list[LogLine]:
    """Find what processes wrote, by time, process, run, endpoint, level and text; newest first."""
    from mainspring.workspace.logs import asking
    from mainspring.workspace.views.runs import ids_below

    below = request.below and request.run is not None
    query = Query(
        text=request.text,
        process=request.process,
        level=request.level,
        run=request.run,
        also=ids_below(ws, request.run or "") if below else (),
        step=request.step,
        endpoint=request.endpoint,
        loop=request.loop,
        task=request.task,
        request=request.request,
        prediction=request.prediction,
    )
    return asking.find(
        ws.home, query, since=request.since, until=request.until, limit=request.limit
    )


@operation("logs.rules", "GET", "/api/v1/log-rules", Permission.READ)
def listed(ws: Workspace) -> list[RuleStanding]:
    """List the rules over the logs, and how each stands."""
    from mainspring.workspace.logs import alarming

    return alarming.standing(ws)


@operation(
    "logs.watch",
    "POST",
    "/api/v1/log-rules",
    Permission.ADMIN,
    example={"name": "errors", "level": "error", "above": 5, "within_s": 600},
)
def watch(ws: Workspace, request: NewRule) -> LogRule:
    """Alarm when more lines of a kind are written within a time."""
    from mainspring.workspace.logs import rules

    rule = msgspec.convert(msgspec.to_builtins(request), LogRule)
    return ws.write(Permission.ADMIN, lambda tx: rules.add(tx, rule, ws.clock.now()))


@operation("logs.unwatch", "POST", "/api/v1/log-rules/{name}/remove", Permission.ADMIN)
def unwatch(ws: Workspace, request: OfRule) -> Done:
    """Look for a rule's lines no more; its alarm, if one is open, ends."""
    from mainspring.workspace.logs import alarming, rules

    def work(tx: Tx) -> None:
        alarming.forget(tx, rules.remove(tx, request.name), ws.clock.now())

    ws.write(Permission.ADMIN, work)
    return Done()


@operation("logs.rates", "GET", "/api/v1/log-rules/{name}/rates", Permission.READ)
def rates(ws: Workspace, request: OfRates) -> RateSeries:
    """Show how many lines a rule counts over time, also before it was made."""
    from mainspring.workspace.logs import alarming

    return alarming.rates(ws, request.name, request.since_s, request.step_s)
