"""Go on from a run: again from a step, one step alone, or the rest of it with newer code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import runs as experiments
from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import reading
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.graph import STEP, Graph
from mainspring.workspace import captured, running
from mainspring.workspace.running import BY, REGISTER, RESULT, ROOT, SMOKE, RunPlan

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: Tags of a run that was begun from another, and of one that is of a single step.
FROM, ONLY = "mainspring.rerun_of", "mainspring.only"


def rerun(ws: Workspace, run: str, start: str | None = None) -> str:
    """Start a run of the same pipeline with the same params, and return its id.

    With ``start`` that step and those that follow it run, reusable or not, and all others are
    what they were in that very run, whatever has been computed since. Without it every step
    runs or is reused as in any run.

    Raises:
        ConflictError: if the run is none of a pipeline, or a smoke run.
        ProjectError: if the pipeline has no such step.
    """
    record = ws.read(Permission.READ, lambda tx: experiments.get(tx, run))
    tags = {BY: ws.who.name, FROM: run}
    tags |= {name: record.tags[name] for name in (REGISTER, captured.SEED) if name in record.tags}
    planned = _planned_again(ws, record).tagged(tags)
    if start is not None:
        again = planned.graph.after(start)
        given = ws.read(Permission.READ, lambda tx: pipelines.steps_of(tx, run))
        plain = {node.name for node in planned.graph.nodes if node.kind == STEP}
        kept = {one.step: run for one in given if one.output and one.step in plain - {*again}}
        planned = msgspec.structs.replace(planned, fresh=tuple(again), pinned=kept)
    running.check_result(planned, record.tags.get(REGISTER))
    ws.write(Permission.RUN, planned.submit)
    return planned.run.id


def only(ws: Workspace, pipeline: str, step: str, params: Mapping[str, Any]) -> str:
    """Start a run of one step alone, on what the steps it needs gave last; return its id.

    Raises:
        ConflictError: if a step it needs has given nothing yet.
        ProjectError: if the pipeline has no such step.
    """
    tags = {BY: ws.who.name, ONLY: step}
    planned = running.plan(ws, ws.settings.root, pipeline, params, tags=tags)
    graph = planned.graph.only(step)

    def look(tx: Tx) -> dict[str, str]:
        return {name: _last(tx, graph, name, step) for name in graph.node(step).needs}

    planned = msgspec.structs.replace(
        planned.tagged({RESULT: ""}),
        graph=graph,
        fresh=(step,),
        pinned=ws.read(Permission.READ, look),
    )
    ws.write(Permission.RUN, planned.submit)
    return planned.run.id


def resume(ws: Workspace, run: str, *, newer_code: bool = False) -> None:
    """Go on with a failed or cancelled run from the step that broke it.

    With ``newer_code`` what is left runs with the project's code as it is now, and `why` says
    which lines of it differ; else a step whose code has changed is refused when it runs.

    Raises:
        ConflictError: if it did not fail, or its pipeline has other steps by now.
    """
    now = None
    if newer_code:
        record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
        now = _planned_again(ws, record)
        there = {one.step: list(one.needs) for one in steps}
        # What grew while it ran is planted again by what planted it.
        gone = [name for name in there if now.graph.root_of(name) is None]
        if gone or {name: there.get(name) for name in now.graph.needs} != now.graph.needs:
            raise ConflictError(
                f"Pipeline {record.pipeline} does not have the steps any more that run {run} has.",
                field="run",
                hint=f"Start a new run: mainspring rerun {run}",
            )

    ws.write(Permission.RUN, lambda tx: running.resume_in(tx, run, now))


def _planned_again(ws: Workspace, record: Run) -> RunPlan:
    if record.pipeline is None or ROOT not in record.tags:
        raise ConflictError(f"Run {record.id} is not one of a pipeline.", field="run")
    if SMOKE in record.tags:
        raise ConflictError(
            f"Run {record.id} is a smoke run.",
            field="run",
            hint=f"Start another: mainspring run {record.pipeline} --smoke",
        )
    return running.plan(ws, record.tags[ROOT], record.pipeline, record.params)


def _last(tx: Tx, graph: Graph, name: str, step: str) -> str:
    """Return the newest run that was no smoke run and has what a step gives."""
    for run in reading.made_by(tx, graph.pipeline, name):
        if SMOKE not in experiments.get(tx, run).tags:
            return run
    raise ConflictError(
        f"Step {step} needs what {name} gives, and no run of {graph.pipeline} has that yet.",
        field="step",
        hint=f"Run all of it once: mainspring run {graph.pipeline.partition(':')[2]}",
    )
