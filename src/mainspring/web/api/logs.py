"""The logs of the server's processes. They hold whatever code said: for administrators."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import EndpointName, Limit, LoopName, Name, Request, RunId
from mainspring.web.api.operations import operation
from mainspring.workspace.logs.lines import MOST_TEXT, LogLine, Query
from mainspring.workspace.opening import Workspace

When = Annotated[
    str,
    Meta(
        max_length=64,
        description="A time in UTC, or how long ago: 15m, 1h, 2d.",
        examples=["1h"],
    ),
]
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
    step: Name | None = None
    endpoint: EndpointName | None = None
    loop: LoopName | None = None
    task: Annotated[str, Meta(max_length=400)] | None = None
    request: Annotated[Name, Meta(description="The X-Request-Id of an answer.")] | None = None
    limit: Limit = 100


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

    query = Query(
        text=request.text,
        process=request.process,
        level=request.level,
        run=request.run,
        step=request.step,
        endpoint=request.endpoint,
        loop=request.loop,
        task=request.task,
        request=request.request,
    )
    return asking.find(
        ws.home, query, since=request.since, until=request.until, limit=request.limit
    )
