"""Make a version again: its run from the same inputs, params, seeds and code, nothing reused.

1. Plan the pipeline's run as the project is now, and refuse unless code, arguments and kept
   inputs are those that made the version: another code's result says nothing of this one.
2. Run it once or several times, every step anew.
3. Compare step by step, by bytes; where bytes differ, by metrics (``readiness/reproductions``).
4. Keep what came of it as evidence on the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground import environment
from mainspring.ground.errors import ConflictError, MainspringError, NotFoundError
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.objects import Evidence, Run, RunStatus, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import reading as pipelines
from mainspring.readiness import evidence, registry, reproductions
from mainspring.scaling.models import package
from mainspring.workspace import running

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

MOST_RUNS = 20
KIND = "compare_runs"  #: of the task that compares
TAG = "mainspring.reproduces"  #: on the runs: the version they make again


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that make a version again, and the task that will compare them."""

    task: str
    runs: list[str]


def start(
    ws: Workspace,
    model: str,
    number: int,
    *,
    count: int = 1,
    tolerance: float = 0.01,
    cause: str | None = None,
    lease: Lease | None = None,
) -> Started:
    """Submit the runs that make a version again; an engine carries them out and compares.

    The same ``cause`` again starts nothing new.

    Raises:
        ConflictError: if no pipeline's run made it, or its code, arguments or inputs are not
            there as they were; with what differs.
    """
    cause = cause or f"reproduce:{new_id('rep')}"
    version, was, listing = ws.read(Permission.READ, lambda tx: _past(tx, model, number))
    tags = {TAG: f"{version.model}/{version.number}"}
    root, pipeline = was.tags[running.ROOT], str(was.pipeline)
    planned = running.plan(ws, root, pipeline, was.params, tags=tags, lease=lease)
    ws.read(Permission.READ, lambda tx: _refuse_other(ws, tx, version, was, planned))
    plans = [_named(planned, f"{cause}:{nth}") for nth in range(count)]

    def submit(tx: Tx) -> Started:
        for one in plans:
            one.submit(tx)
        ids = [_run_of(tx, one) for one in plans]
        compared = tasks.NewTask(
            id=f"{cause}:compare",
            kind=KIND,
            payload={
                "model": version.model,
                "number": version.number,
                "runs": ids,
                "tolerance": tolerance,
                "packages": environment.differences(listing, planned.environment),
            },
            group=ids[-1],
            needs=[f"{one}:run_end" for one in ids],
            always=True,
        )
        tasks.submit(tx, [compared])
        return Started(task=compared.id, runs=ids)

    return ws.write(Permission.RUN, submit)


def compared(ws: Workspace, payload: Mapping[str, Any]) -> Evidence:
    """Return what came of making a version again, as evidence that is not kept yet."""

    def look(tx: Tx) -> tuple[Version, reproductions.Made, list[reproductions.Made]]:
        version = registry.get(tx, payload["model"], int(payload["number"]))
        again = [_made(ws, tx, run) for run in payload["runs"]]
        return version, _made(ws, tx, str(version.run)), again

    version, was, again = ws.read(Permission.WORK, look)
    tolerance = float(payload["tolerance"])
    found = reproductions.compare(was, again, tolerance)
    return Evidence(
        id=f"ev_again_{payload['runs'][-1]}",
        kind="reproduced",
        subject=f"{version.model}/{version.number}",
        passed=found.passed,
        found=found.found[:1000],
        at=ws.clock.now(),
        by=ws.who.name,
        code=version.code,
        detail={
            "verdict": found.verdict,
            "tolerance": tolerance,
            "runs": len(again),
            "differing": found.differing,
            "steps": [
                {"step": step, "was": digest, "now": [one.outputs.get(step) for one in again]}
                for step, digest in was.outputs.items()
            ],
            "metrics": {
                name: {"was": repr(value), "now": [repr(one.metrics.get(name)) for one in again]}
                for name, value in was.metrics.items()
            },
            "packages": list(payload["packages"]),
        },
        opens=[f"run:{was.run}", *(f"run:{one.run}" for one in again)],
    )


def cannot(ws: Workspace, version: Version, why: MainspringError) -> Evidence:
    """Return that a version cannot be made again, as evidence that is not kept yet."""
    return Evidence(
        id=new_id("ev"),
        kind="reproduced",
        subject=f"{version.model}/{version.number}",
        passed=False,
        found=f"it cannot be made again: {why.message}"[:1000],
        at=ws.clock.now(),
        by=ws.who.name,
        code=version.code,
        detail={"verdict": "different"},
    )


def reproduction(ws: Workspace, name: str) -> tuple[tasks.Task, Evidence | None]:
    """Return how far a reproduction is, and what came of it once it is compared.

    Raises:
        NotFoundError: if none was asked for by that name.
    """

    def look(tx: Tx) -> tuple[tasks.Task | None, Evidence | None]:
        task = tasks.get(tx, name)
        if task is None or task.kind != KIND or not task.result:
            return task, None
        return task, evidence.get(tx, task.result["evidence"])

    task, found = ws.read(Permission.READ, look)
    if task is None or task.kind != KIND:
        raise NotFoundError(f"No reproduction {name[:80]!r} was asked for.", field="task")
    return task, found


def _past(tx: Tx, model: str, number: int) -> tuple[Version, Run, dict[str, str]]:
    version = registry.get(tx, model, number)
    was = experiments.get(tx, version.run) if version.run else None
    if was is None or was.pipeline is None or not version.code:
        raise ConflictError(
            f"{version.model}/{version.number} was not made by a run of a pipeline, so there is"
            " nothing to run again.",
            field="version",
        )
    return version, was, pipelines.environment_of(tx, was.id)


def _refuse_other(
    ws: Workspace, tx: Tx, version: Version, was: Run, planned: running.RunPlan
) -> None:
    """Refuse what is not the same work: other code, other arguments, inputs that are gone."""
    before = pipelines.codes(tx, was.id)
    changed = [t for t, code in before.items() if planned.code.get(t, [""])[0] != code]
    if changed or set(planned.code) != set(before):
        names = ", ".join(one.partition(":")[2] for one in changed) or "the steps of the pipeline"
        raise ConflictError(
            f"The project's code is not what made {version.model}/{version.number}:"
            f" {names} changed.",
            field="version",
            hint="Check the state out that made it, and ask again there.",
        )
    for node in planned.graph.nodes:
        if canonical(node.args) != canonical(pipelines.args_of(tx, was.id, node.name)):
            raise ConflictError(
                f"The arguments of step {node.name} cannot be made again from the run's params.",
                field="version",
            )
    captured = was.tags.get(running.CAPTURED)
    if captured and not ws.objects.has(captured):
        raise ConflictError(
            f"The captured rows that {version.model}/{version.number} learnt from are gone.",
            field="version",
        )


def _named(planned: running.RunPlan, cause: str) -> running.RunPlan:
    """Return a plan as a run of its own that reuses nothing."""
    run = msgspec.structs.replace(planned.run, id=new_id("run"), cause=cause)
    return msgspec.structs.replace(planned, run=run, fresh=tuple(planned.graph.needs))


def _run_of(tx: Tx, planned: running.RunPlan) -> str:
    found = experiments.find(tx, cause=str(planned.run.cause))
    return planned.run.id if found is None else found.id


def _made(ws: Workspace, tx: Tx, run: str) -> reproductions.Made:
    record, steps = running.state(tx, run)
    broken = next((one for one in steps if one.error), None)
    error = "" if record.status is RunStatus.FINISHED else str(record.status)
    if broken is not None and error:
        error = f"{broken.step}: {broken.error}"
    metrics = {k: v for k, v in record.metrics.items() if not k.startswith("system/")}
    result = next((one for one in steps if one.step == record.tags[running.RESULT]), None)
    if result is not None and result.output_type == "model" and result.output:
        metrics |= package.profile(result.output, ws.objects).metrics
    outputs = {one.step: one.output for one in steps}
    return reproductions.Made(run=run, outputs=outputs, metrics=metrics, error=error)
