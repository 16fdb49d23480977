"""The queue: runs that wait for a free slot."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, ExperimentName, Limit, OfRun, Request, Target
from mainspring.web.api.operations import operation
from mainspring.web.api.pipelines import StartedRun
from mainspring.workspace.opening import Workspace
from mainspring.workspace.queue import Queued

Word = Annotated[str, Meta(max_length=30_000)]


class AddEntry(Request, frozen=True, kw_only=True):
    """A pipeline or function with its params, or a command as its words."""

    target: Target | None = None
    params: dict[str, Any] = {}
    command: Annotated[list[Word], Meta(min_length=1, max_length=1_000)] | None = None
    folder: Annotated[str, Meta(min_length=1, max_length=4_000)] | None = None
    priority: Annotated[int, Meta(ge=-1_000, le=1_000, description="Higher goes first.")] = 0
    experiment: ExperimentName | None = None


class ListQueue(Request, frozen=True, kw_only=True):
    """Whether to list what ended too."""

    every: bool = False
    limit: Limit = 100


@operation(
    "queue.add",
    "POST",
    "/api/v1/queue",
    Permission.RUN,
    example={"target": "project:train", "params": {"trees": 100}, "priority": 5},
)
def add_entry(ws: Workspace, request: AddEntry) -> StartedRun:
    """Put a run into the queue: a pipeline, a function, or a command.

    A command can do whatever the server's user can, so only an admin may queue one. Its
    ``folder`` is the project's root if none is given.
    """
    from mainspring.workspace import queue

    if (request.target is None) == (request.command is None):
        raise BadInputError("Either a target or a command is queued.", field="target")
    if request.target is not None:
        run = queue.add_target(
            ws,
            request.target,
            request.params,
            priority=request.priority,
            experiment=request.experiment,
        )
        return StartedRun(run=run)
    run = queue.add_command(
        ws,
        request.command or [],
        folder=request.folder or ws.settings.root,
        priority=request.priority,
        experiment=request.experiment,
    )
    return StartedRun(run=run)


@operation("queue.list", "GET", "/api/v1/queue", Permission.READ, example={"limit": 20})
def list_queue(ws: Workspace, request: ListQueue) -> list[Queued]:
    """List what runs and what waits, in the order it will be taken."""
    from mainspring.workspace import queue

    return queue.listed(ws, every=request.every, limit=request.limit)


@operation("queue.cancel", "POST", "/api/v1/queue/{run}/cancel", Permission.RUN)
def cancel_entry(ws: Workspace, request: OfRun) -> Done:
    """Take an entry out of the queue, or stop it if it runs."""
    from mainspring.workspace import queue

    queue.cancel(ws, request.run)
    return Done()
