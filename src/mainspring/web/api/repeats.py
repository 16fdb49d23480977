"""Repeats: one function or pipeline with many seeds, and whether one repeat beats another."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Key, OfRun, Request, RunId, Target
from mainspring.web.api.operations import operation
from mainspring.web.api.pipelines import StartedRun
from mainspring.workspace.families.summary import Progress
from mainspring.workspace.opening import Workspace
from mainspring.workspace.repeating import Versus

Parallel = Annotated[int, Meta(ge=1, le=64, description="How many at once.")]
Failures = Annotated[int, Meta(ge=1, le=10_000, description="So many failures in a row end it.")]


class StartRepeat(Request, frozen=True, kw_only=True):
    """What to repeat, on which params, with which seeds."""

    target: Target
    params: dict[str, Any] = {}
    seeds: Annotated[list[int], Meta(min_length=1, max_length=10_000)] | None = None  #: 0 to 9
    parallel: Parallel = 2
    failures: Failures = 3


class CompareRepeats(Request, frozen=True, kw_only=True):
    """Which two repeats to compare, on what, and which way is better."""

    a: RunId
    b: RunId
    metric: Key
    better: Literal["higher", "lower"]
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    power: Annotated[float, Meta(gt=0.5, lt=1)] = 0.8


@operation(
    "repeats.start",
    "POST",
    "/api/v1/repeats",
    Permission.RUN,
    example={"target": "project:train", "seeds": [0, 1, 2], "params": {"trees": 40}},
)
def start_repeat(ws: Workspace, request: StartRepeat) -> StartedRun:
    """Run a pipeline or function once with each seed, as children of one run."""
    from mainspring.workspace import repeating

    wanted = repeating.family(
        ws.settings.root,
        seeds=10 if request.seeds is None else request.seeds,
        params=request.params,
        parallel=request.parallel,
        failures=request.failures,
    )
    return StartedRun(run=repeating.start(ws, request.target, wanted))


@operation("repeats.get", "GET", "/api/v1/repeats/{run}", Permission.READ)
def get_repeat(ws: Workspace, request: OfRun) -> Progress:
    """Show how far a repeat is, with mean, scatter and interval of each metric so far."""
    from mainspring.workspace.families import summary
    from mainspring.workspace.tracking.catching_up import caught_up

    return caught_up(ws).read(Permission.READ, lambda tx: summary.progress(tx, request.run))


@operation("repeats.resume", "POST", "/api/v1/repeats/{run}/resume", Permission.RUN)
def resume_repeat(ws: Workspace, request: OfRun) -> StartedRun:
    """Let a repeat go on: seeds that are done are not done again."""
    from mainspring.workspace.families import starting

    starting.go_on(ws, request.run)
    return StartedRun(run=request.run)


@operation("repeats.versus", "GET", "/api/v1/versus", Permission.READ)
def compare_repeats(ws: Workspace, request: CompareRepeats) -> Versus:
    """Say whether one repeat beats another on a metric, and what so few seeds could show."""
    from mainspring.workspace import repeating

    return repeating.compare(
        repeating.values_of(ws, request.a, request.metric),
        repeating.values_of(ws, request.b, request.metric),
        metric=request.metric,
        better=request.better,
        confidence=request.confidence,
        power=request.power,
        names=(request.a, request.b),
    )
