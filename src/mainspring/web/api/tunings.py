"""Tunings: look for the params that make a metric best."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Key, OfRun, Request, Target
from mainspring.web.api.operations import operation
from mainspring.web.api.pipelines import StartedRun
from mainspring.web.api.repeats import Failures, Parallel
from mainspring.workspace.families.summary import Progress
from mainspring.workspace.opening import Workspace


class StartTuning(Request, frozen=True, kw_only=True):
    """What to tune, over which space, and what to improve."""

    target: Target
    space: dict[str, Any]
    metric: Key
    goal: Literal["maximize", "minimize"] = "maximize"
    trials: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "asha", "hyperband"] = "none"
    params: dict[str, Any] = {}
    parallel: Parallel = 2
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    patience: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    failures: Failures = 3


@operation(
    "tunings.start",
    "POST",
    "/api/v1/tunings",
    Permission.RUN,
    example={
        "target": "project:train",
        "space": {"trees": "int(10,200)", "rate": "log(1e-3,1)"},
        "metric": "auc",
        "trials": 20,
    },
)
def start_tuning(ws: Workspace, request: StartTuning) -> StartedRun:
    """Try params of a pipeline or function, each trial as a child of one run."""
    from mainspring.workspace import tuning

    wanted = tuning.family(
        ws.settings.root,
        request.space,
        metric=request.metric,
        goal=request.goal,
        trials=request.trials,
        sampler=request.sampler,
        pruner=request.pruner,
        params=request.params,
        parallel=request.parallel,
        timeout_s=request.timeout_s,
        seed=request.seed,
        patience=request.patience,
        failures=request.failures,
    )
    return StartedRun(run=tuning.start(ws, request.target, wanted))


@operation("tunings.get", "GET", "/api/v1/tunings/{run}", Permission.READ)
def get_tuning(ws: Workspace, request: OfRun) -> Progress:
    """Show how far a tuning is, its best trial, and once it ended which params mattered."""
    from mainspring.workspace.families import summary
    from mainspring.workspace.tracking.catching_up import caught_up

    return caught_up(ws).read(Permission.READ, lambda tx: summary.progress(tx, request.run))


@operation("tunings.resume", "POST", "/api/v1/tunings/{run}/resume", Permission.RUN)
def resume_tuning(ws: Workspace, request: OfRun) -> StartedRun:
    """Let a tuning go on from the trials it has."""
    from mainspring.workspace.families import starting

    starting.go_on(ws, request.run)
    return StartedRun(run=request.run)
