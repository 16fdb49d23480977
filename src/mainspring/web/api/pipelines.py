"""Pipelines of the project: list them, run them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import ModelName, Request, StepName, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace


class RunPipeline(Request, frozen=True, kw_only=True):
    """Which pipeline to run, on which params, from which step, and what to register it as."""

    pipeline: Target
    params: dict[str, Any] = {}
    register: ModelName | None = None
    start: StepName | None = None
    only: StepName | None = None
    smoke: (
        Annotated[int, Meta(ge=20, le=100_000, description="Rows to which what comes in is cut.")]
        | None
    ) = None


class StartedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was started."""

    run: str


@operation("pipelines.list", "GET", "/api/v1/pipelines", Permission.READ)
def list_pipelines(ws: Workspace) -> list[dict[str, Any]]:
    """List the pipelines that the project declares.

    The project's own Python is read in a process of its own.
    """
    from mainspring.workspace import calling

    root = ws.settings.root
    found: list[dict[str, Any]] = calling.child(ws, "project", {"root": root}, root=root)[
        "pipelines"
    ]
    return found


@operation(
    "pipelines.run",
    "POST",
    "/api/v1/pipelines/run",
    Permission.RUN,
    example={"pipeline": "project:train", "params": {"trees": 100}},
)
def run_pipeline(ws: Workspace, request: RunPipeline) -> StartedRun:
    """Start a run of a pipeline; the engine carries it out.

    With ``register`` its result becomes a candidate version of that model. ``start`` names a
    step: it and those that follow it run even if a result could be reused; ``only`` one that is
    run alone, on what the steps it needs gave last. With ``smoke`` the
    tables its first steps bring in are cut to so many rows, and nothing of it can be registered.
    """
    if request.smoke is not None:
        from mainspring.workspace.proofs import smoking

        if request.register or request.start or request.only:
            raise BadInputError(
                "A smoke run registers nothing, and runs every step.", field="smoke"
            )
        return StartedRun(run=smoking.start(ws, request.pipeline, request.params, request.smoke))
    if request.only is not None:
        from mainspring.workspace import going_on

        if request.register is not None or request.start is not None:
            raise BadInputError(
                "A step that runs alone registers nothing, and starts at itself.", field="only"
            )
        run = going_on.only(ws, request.pipeline, request.only, request.params)
        return StartedRun(run=run)
    from mainspring.workspace import running

    run = running.start_run(
        ws, request.pipeline, request.params, register=request.register, start=request.start
    )
    return StartedRun(run=run)
