"""Runs: list, look into, ask why, stop, go on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.experiments.comparison import Comparison
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import (
    ColumnNames,
    Cursor,
    Done,
    Filter,
    InExperiment,
    Key,
    Limit,
    OfRun,
    OrderBy,
    Reason,
    Request,
    RunId,
    StepName,
    When,
)
from mainspring.web.api.operations import operation
from mainspring.web.api.pipelines import StartedRun
from mainspring.workspace.keeping.deleting import Deleted, Restored
from mainspring.workspace.logs.lines import LogLine
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.returned import Returned
from mainspring.workspace.views.shapes import (
    Curves,
    FoundPage,
    MetricHistory,
    RunAbout,
    RunColumns,
    RunDetail,
)

RunIds = Annotated[
    list[RunId], Meta(min_length=1, max_length=10_000, description="The runs' ids.")
]


class ListRuns(Request, frozen=True, kw_only=True):
    """Which runs to list, in which order."""

    filter: Filter | None = None
    order: OrderBy | None = None
    columns: ColumnNames | None = None
    experiment: InExperiment | None = None
    status: (
        Literal["running", "waiting", "interrupted", "finished", "failed", "cancelled", "crashed"]
        | None
    ) = None
    deleted: Annotated[bool, Meta(description="Only deleted runs.")] = False
    count: Annotated[bool, Meta(description="Say how many there are, up to 10,000.")] = False
    limit: Limit = 50
    cursor: Cursor | None = None


class ColumnsAsked(Request, frozen=True, kw_only=True):
    """Of which runs the columns are asked for."""

    experiment: InExperiment | None = None
    filter: Filter | None = None
    prefix: Annotated[str, Meta(max_length=250, description="Only keys that begin so.")] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class Pair(Request, frozen=True, kw_only=True):
    """A metric of a run."""

    run: RunId
    key: Key


class CurvesAsked(Request, frozen=True, kw_only=True):
    """Which curves, and of how many points each."""

    curves: Annotated[list[Pair], Meta(min_length=1, max_length=50)]
    points: Annotated[int, Meta(ge=5, le=10_000)] = 500


class CompareRuns(Request, frozen=True, kw_only=True):
    """Which runs to compare: named ones, or those that meet a filter."""

    runs: Annotated[list[RunId], Meta(min_length=2, max_length=300)] | None = None
    filter: Filter | None = None
    experiment: InExperiment | None = None
    order: OrderBy | None = None
    limit: Annotated[int, Meta(ge=2, le=300, description="How many found runs at most.")] = 100
    columns: ColumnNames | None = None
    by: Annotated[str, Meta(max_length=300, description="What to group by.")] | None = None
    curves: Annotated[
        list[Key], Meta(max_length=50, description="Metrics whose histories are wanted too.")
    ] = []
    points: Annotated[int, Meta(ge=5, le=10_000, description="Of a curve, at most.")] = 500


class GetRun(Request, frozen=True, kw_only=True):
    """Which run, and whether those are wanted that its steps started."""

    run: RunId
    below: Annotated[
        bool, Meta(description="Also how far the runs are that its steps started.")
    ] = False


class PrintedAsked(Request, frozen=True, kw_only=True):
    """Of which run, which of its steps and since when lines are wanted."""

    run: RunId
    step: StepName | None = None
    since: When | None = None
    below: Annotated[bool, Meta(description="Also of the runs that its steps started.")] = False
    limit: Limit = 100


class WhyRun(Request, frozen=True, kw_only=True):
    """Which run, and which of its steps; all of them if none is named."""

    run: RunId
    step: StepName | None = None


class ResultAsked(Request, frozen=True, kw_only=True):
    """Of which run, and which of its steps; what the pipeline returned if none is named."""

    run: RunId
    step: StepName | None = None


class ResumeRun(Request, frozen=True, kw_only=True):
    """Which run goes on, and with which code: as it was planned with, or as it is now."""

    run: RunId
    code: Literal["planned", "now"] = "planned"


class RerunRun(Request, frozen=True, kw_only=True):
    """Which run is done again, and from which of its steps; all of it if none is named."""

    run: RunId
    start: StepName | None = None


class RunMetric(Request, frozen=True, kw_only=True):
    """Which metric of which run."""

    run: RunId
    key: Key
    after: Annotated[int, Meta(ge=0, le=2**62)] = 0
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 100_000


class DeleteRuns(Request, frozen=True, kw_only=True):
    """Which runs, by id or by a filter, and whether only to look."""

    runs: RunIds | None = None
    filter: Filter | None = None
    children: bool = False  #: also the runs below them
    reason: Reason | None = None
    dry_run: bool = False  #: only say what would be deleted


class RestoreRuns(Request, frozen=True, kw_only=True):
    """Which runs."""

    runs: RunIds


class RunCause(msgspec.Struct, frozen=True, kw_only=True):
    """What began a run."""

    cause: str | None
    lines: list[str]


@operation(
    "runs.list",
    "GET",
    "/api/v1/runs",
    Permission.READ,
    example={"filter": "metrics.auc > 0.9", "order": "-metrics.auc", "limit": 20},
)
def list_runs(ws: Workspace, request: ListRuns) -> FoundPage:
    """List the runs that meet a filter, newest first or as ordered.

    NaN and the infinities are the texts "nan", "inf" and "-inf": JSON has no number for them.
    """
    from mainspring.workspace.views.searching import exact_page, run_page

    page = run_page(
        ws,
        experiment=request.experiment,
        status=request.status,
        filter=request.filter or "",
        order=request.order or "",
        columns=request.columns,
        deleted=request.deleted,
        count=request.count,
        limit=request.limit,
        cursor=request.cursor,
    )
    return exact_page(page)


@operation("runs.columns", "GET", "/api/v1/run-columns", Permission.READ)
def run_columns(ws: Workspace, request: ColumnsAsked) -> RunColumns:
    """List the metrics, params and tags that runs have, for a choice of columns."""
    from mainspring.workspace.views.searching import columns_of

    return columns_of(ws, request.experiment, request.filter or "", request.prefix, request.limit)


@operation("runs.curves", "POST", "/api/v1/run-curves", Permission.READ)
def run_curves(ws: Workspace, request: CurvesAsked) -> Curves:
    """Show several metrics of several runs over their steps, thinned so that peaks stay."""
    from mainspring.workspace.views.searching import curves_of

    return curves_of(ws, [(one.run, one.key) for one in request.curves], request.points)


@operation(
    "runs.compare",
    "POST",
    "/api/v1/run-comparison",
    Permission.READ,
    example={"filter": "experiment = 'flights'", "by": "params.C"},
)
def compare_runs(ws: Workspace, request: CompareRuns) -> Comparison:
    """Compare runs: params that differ, metrics with their spread, code and packages."""
    from mainspring.workspace.views.comparing import compare_runs as compared

    if request.runs is not None and request.filter is not None:
        raise BadInputError(
            "Name runs or give a filter, not both.", field="filter", hint="Leave one out."
        )
    return compared(
        ws,
        request.runs,
        filter=request.filter or "",
        experiment=request.experiment,
        order=request.order or "",
        limit=request.limit,
        columns=request.columns,
        by=request.by,
        curves=request.curves,
        points=request.points,
    )


@operation("runs.get", "GET", "/api/v1/runs/{run}", Permission.READ)
def get_run(ws: Workspace, request: GetRun) -> RunDetail:
    """Show one run with its steps and what it made."""
    from mainspring.workspace.views.runs import run_detail

    return run_detail(ws, request.run, below=request.below)


@operation(
    "runs.printed",
    "GET",
    "/api/v1/runs/{run}/printed",
    Permission.READ,
    example={"run": "run_01j9", "since": "5m"},
)
def printed_by_run(ws: Workspace, request: PrintedAsked) -> list[LogLine]:
    """Find what the steps of a run printed, newest first."""
    from mainspring.workspace.views.runs import lines_of

    return lines_of(
        ws,
        request.run,
        request.step,
        since=request.since,
        limit=request.limit,
        below=request.below,
    )


@operation("runs.about", "GET", "/api/v1/runs/{run}/about", Permission.READ)
def about_run(ws: Workspace, request: OfRun) -> RunAbout:
    """Show one run with all that belongs to it: metrics measured, files, inputs, children."""
    from mainspring.workspace.views.about import run_about

    return run_about(ws, request.run)


@operation("runs.result", "GET", "/api/v1/runs/{run}/result", Permission.READ)
def result_of_run(ws: Workspace, request: ResultAsked) -> Returned:
    """Say what a step of a run returned; without a step, what its pipeline did."""
    from mainspring.workspace.views.returned import returned

    return returned(ws, request.run, request.step)


@operation("runs.why", "GET", "/api/v1/runs/{run}/why", Permission.READ)
def why_run(ws: Workspace, request: WhyRun) -> dict[str, Any]:
    """Say why each step ran or was reused: which part of its key differed."""
    from mainspring.workspace.views.runs import run_why

    return run_why(ws, request.run, request.step)


@operation("runs.cause", "GET", "/api/v1/runs/{run}/cause", Permission.READ)
def cause_of_run(ws: Workspace, request: OfRun) -> RunCause:
    """Say what began a run: a fire time, or an event and what it said."""
    from mainspring.workspace.events import verbs

    cause, lines = verbs.cause_of(ws, request.run)
    return RunCause(cause=cause, lines=lines)


@operation("runs.metrics", "GET", "/api/v1/runs/{run}/metrics", Permission.READ)
def run_metrics(ws: Workspace, request: RunMetric) -> MetricHistory:
    """Show the values of one metric in the order they were logged. NaN is null."""
    from mainspring.workspace.views.runs import run_metric

    return run_metric(ws, request.run, request.key, request.after, request.limit)


@operation("runs.graph", "GET", "/api/v1/runs/{run}/graph", Permission.READ, media="image/svg+xml")
def graph_run(ws: Workspace, request: OfRun) -> str:
    """Draw the steps of a run and their states, as SVG."""
    from mainspring.workspace.views.runs import run_graph

    return run_graph(ws, request.run)


@operation("runs.cancel", "POST", "/api/v1/runs/{run}/cancel", Permission.RUN)
def cancel_run(ws: Workspace, request: OfRun) -> Done:
    """Stop a run: what has not begun is cancelled, what runs is asked to stop."""
    from mainspring.workspace import running

    running.cancel(ws, request.run)
    return Done()


@operation(
    "runs.resume",
    "POST",
    "/api/v1/runs/{run}/resume",
    Permission.RUN,
    example={"run": "run_01j9", "code": "now"},
)
def resume_run(ws: Workspace, request: ResumeRun) -> Done:
    """Let a failed or cancelled run go on from its last finished step.

    With ``code`` "now" what is left runs with the project's code as it is now; else a step whose
    code has changed is refused.
    """
    from mainspring.workspace import going_on

    going_on.resume(ws, request.run, newer_code=request.code == "now")
    return Done()


@operation(
    "runs.rerun",
    "POST",
    "/api/v1/runs/{run}/rerun",
    Permission.RUN,
    example={"run": "run_01j9", "start": "train"},
)
def rerun_run(ws: Workspace, request: RerunRun) -> StartedRun:
    """Start a run of the same pipeline with the same params; the engine carries it out.

    ``start`` names a step: it and those that follow it run anew, and all others are what they
    were in that very run, whatever has been computed since.
    """
    from mainspring.workspace import going_on

    return StartedRun(run=going_on.rerun(ws, request.run, request.start))


@operation(
    "runs.delete",
    "POST",
    "/api/v1/runs/delete",
    Permission.LOG,
    example={"runs": ["run_01jz"], "reason": "A wrong table."},
)
def delete_runs(ws: Workspace, request: DeleteRuns) -> Deleted:
    """Delete runs so that they can be restored; those that others need stay, with the reason."""
    from mainspring.workspace.keeping import deleting

    return deleting.delete_runs(
        ws,
        request.runs or (),
        filter=request.filter or "",
        children=request.children,
        reason=request.reason or "",
        dry_run=request.dry_run,
    )


@operation("runs.restore", "POST", "/api/v1/runs/restore", Permission.LOG)
def restore_runs(ws: Workspace, request: RestoreRuns) -> Restored:
    """Restore deleted runs, as long as gc has not taken them out."""
    from mainspring.workspace.keeping import deleting

    return deleting.restore_runs(ws, request.runs)
