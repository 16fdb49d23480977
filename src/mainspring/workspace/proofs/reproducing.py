"""Make a version again: its run from the same inputs, params, seeds and code, nothing reused.

1. Plan the pipeline's run as the project is now, and refuse unless code, arguments and kept
   inputs are those that made the version: another code's result says nothing of this one.
2. Run it once or several times, every step anew.
3. Compare step by step, by bytes; where bytes differ, by metrics (``readiness/reproductions``).
4. Keep what came of it as evidence on the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground import environment
from mainspring.ground.errors import ConflictError, MainspringError, NotFoundError
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.locks import OURS
from mainspring.ground.objects import Evidence, Run, RunStatus, StepRecord, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import reading as pipelines
from mainspring.readiness import evidence, registry, reproductions
from mainspring.scaling.models import package
from mainspring.workspace import running
from mainspring.workspace.proofs import differing

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

MOST_RUNS = 20
KIND = "compare_runs"  #: of the task that compares
REMAKE = "remake_run"  #: of the task that prepares a clean place and hands the runs out
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
    planned = running.plan(ws, root, pipeline, was.params, tags=tags, lease=lease, before=was.id)
    ws.read(
        Permission.READ,
        lambda tx: refuse_other(ws, tx, was, planned, f"{version.model}/{version.number}"),
    )
    plans = [named(planned, f"{cause}:{nth}") for nth in range(count)]

    def submit(tx: Tx) -> Started:
        for one in plans:
            one.submit(tx)
        payload = {
            "run": version.run,
            "model": version.model,
            "number": version.number,
            "tolerance": tolerance,
            "packages": changes(listing, planned.environment),
        }
        return submit_comparison(tx, cause, plans, payload)

    return ws.write(Permission.RUN, submit)


def submit_comparison(
    tx: Tx, cause: str, plans: list[running.RunPlan], payload: Mapping[str, Any]
) -> Started:
    """Submit the task that compares runs once they have ended; twice is as good as once."""
    ids = [_run_of(tx, one) for one in plans]
    compared = tasks.NewTask(
        id=f"{cause}:compare",
        kind=KIND,
        payload={**payload, "runs": ids},
        group=ids[-1],
        needs=[growing.end_id(one) for one in ids],
        always=True,
    )
    tasks.submit(tx, [compared])
    return Started(task=compared.id, runs=ids)


def compared(
    ws: Workspace, payload: Mapping[str, Any], lease: Lease | None = None
) -> list[Evidence]:
    """Return what came of making a run again, as evidence that is not kept yet.

    The first is on the version, where one is meant or the run made one; then on the run.
    """

    def look(tx: Tx) -> tuple[Run, reproductions.Made, list[reproductions.Made], list[Any]]:
        was = experiments.get(tx, _meant(tx, payload))
        again = [_made(ws, tx, run) for run in payload["runs"]]
        steps = [running.state(tx, one)[1] for one in (was.id, *payload["runs"])]
        return was, _made(ws, tx, was.id), again, steps

    was, before, again, steps = ws.read(Permission.WORK, look)
    tolerance = float(payload["tolerance"])
    told = differing.of(ws, steps, tolerance, payload.get("place"), lease)
    found = reproductions.compare(before, again, tolerance, told.values)
    unsaid = {one.step: one.reads for one in steps[0]}
    first_ = found.differing[0] if found.differing else ""
    hints = [*(f"{path}, which it had not said" for path in unsaid.get(first_, [])), *told.hints]
    blamed = _blamed(found, hints, payload)
    first = Evidence(
        id=f"ev_again_{payload['runs'][-1]}",
        kind="reproduced",
        subject=f"run:{was.id}",
        passed=found.passed,
        found=f"{found.found}{blamed}"[:1000],
        at=ws.clock.now(),
        by=ws.who.name,
        code=was.tags.get(running.CODE, ""),
        detail={
            "verdict": found.verdict,
            "tolerance": tolerance,
            "runs": len(again),
            "differing": found.differing,
            "steps": [
                {
                    "step": step,
                    "was": digest,
                    "now": [one.outputs.get(step) for one in again],
                    "where": told.values[step].where if step in told.values else "",
                }
                for step, digest in before.outputs.items()
            ],
            "metrics": {
                name: {"was": repr(value), "now": [repr(one.metrics.get(name)) for one in again]}
                for name, value in before.metrics.items()
            },
            "packages": list(payload["packages"]),
            "environment": payload.get("environment", ""),
            "notes": list(payload.get("notes", [])),
            "hints": hints,
        },
        opens=[f"run:{was.id}", *(f"run:{one.run}" for one in again)],
    )
    return on_both(first, was, payload)


def _meant(tx: Tx, payload: Mapping[str, Any]) -> str:
    if payload.get("run"):
        return str(payload["run"])
    version = registry.get(tx, payload["model"], int(payload["number"]))
    return str(version.run)


def on_both(first: Evidence, was: Run, payload: Mapping[str, Any]) -> list[Evidence]:
    """Return the evidence on the version that is meant, or that the run made, and on the run."""
    version = was.tags.get("mainspring.version")
    if payload.get("model"):
        version = f"{payload['model']}/{payload['number']}"
    if version is None:
        return [first]
    on_version = msgspec.structs.replace(first, subject=version)
    return [on_version, msgspec.structs.replace(first, id=f"{first.id}_run")]


def _blamed(
    found: reproductions.Reproduction, hints: list[str], payload: Mapping[str, Any]
) -> str:
    """Return what may be behind the first step that differs, in words."""
    packages = payload["packages"]
    if not found.differing:
        more = f" and {len(packages) - 3} more" if len(packages) > 3 else ""
        return f", though packages differ: {', '.join(packages[:3])}{more}" if packages else ""
    if packages:
        more = f" and {len(packages) - 3} more" if len(packages) > 3 else ""
        return (
            f"; its code and inputs are the same, packages differ: {', '.join(packages[:3])}{more}"
        )
    why = f": it takes {', '.join(hints[:2])}" if hints else ""
    step = found.differing[0]
    same = "its code, inputs and packages are the same"
    return f"; {same}, so {step} does not give the same each time{why}"


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


def reproduction(ws: Workspace, name: str) -> tuple[tasks.Task, list[str], Evidence | None]:
    """Return how far a reproduction is, its runs, and what came of it once they are compared.

    Raises:
        NotFoundError: if none was asked for by that name.
    """

    def look(tx: Tx) -> tuple[tasks.Task | None, Evidence | None]:
        task = tasks.get(tx, name)
        then = None if task is None else tasks.get(tx, f"{name}:compare")
        task = then or task
        if task is None or not task.result or "evidence" not in task.result:
            return task, None
        return task, evidence.get(tx, task.result["evidence"])

    task, found = ws.read(Permission.READ, look)
    if task is None or task.kind not in (KIND, REMAKE):
        raise NotFoundError(f"No reproduction {name[:80]!r} was asked for.", field="task")
    return task, list(task.payload.get("runs", [])), found


def cancel(ws: Workspace, name: str) -> None:
    """Stop making a run again: what has not begun never does, and nothing is said of the run.

    Raises:
        NotFoundError: if none was asked for by that name.
        ConflictError: if it has ended already.
    """
    task, runs, _ = reproduction(ws, name)

    def work(tx: Tx) -> None:
        states = {run: experiments.get(tx, run).status for run in runs}
        at_work = [run for run, one in states.items() if one is RunStatus.RUNNING]
        if not at_work and task.state in ("done", "failed", "cancelled"):
            raise ConflictError(f"It has ended already: it is {task.state}.", field="task")
        tasks.cancel(tx, name)
        for run in at_work:
            running.cancel_in(tx, run)

    ws.write(Permission.RUN, work)


def was_cancelled(ws: Workspace, payload: Mapping[str, Any]) -> bool:
    """Return whether somebody stopped one of the runs: then nothing can be said."""
    return ws.read(
        Permission.WORK,
        lambda tx: any(
            running.CANCELLED in experiments.get(tx, run).tags for run in payload["runs"]
        ),
    )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return which packages differ, in words. Ours is always the one that runs."""
    told = environment.differences(before, after) if before else []
    return [one for one in told if not one.startswith(f"{OURS} ")]


def _past(tx: Tx, model: str, number: int) -> tuple[Version, Run, dict[str, str]]:
    version = registry.get(tx, model, number)
    was = refuse_strange(tx, version)
    return version, was, pipelines.environment_of(tx, was.id)


def refuse_strange(tx: Tx, version: Version) -> Run:
    """Return the run that made a version; refuse one that no pipeline made.

    Raises:
        ConflictError: if nothing can be run again.
    """
    was = experiments.get(tx, version.run) if version.run else None
    if was is None or was.pipeline is None or not version.code:
        raise ConflictError(
            f"{version.model}/{version.number} was not made by a run of a pipeline, so there is"
            " nothing to run again.",
            field="version",
        )
    return was


def refuse_other(
    ws: Workspace, tx: Tx, was: Run, planned: running.RunPlan, named_so: str | None = None
) -> None:
    """Refuse what is not the same work: other code, other arguments, inputs that are gone.

    ``named_so`` is the version the run made, in the words of the refusal.

    Raises:
        ConflictError: naming what differs.
    """
    name = named_so or f"run {was.id}"
    before = pipelines.codes(tx, was.id)
    # Steps that a graph grew while it ran are not planned yet; they are looked at as they run.
    changed = [t for t, code in planned.code.items() if before.get(t, code[0]) != code[0]]
    if changed or not set(planned.code) <= set(before):
        names = ", ".join(one.partition(":")[2] for one in changed) or "the steps of the pipeline"
        raise ConflictError(
            f"The project's code is not what made {name}: {names} changed.",
            field="version" if named_so else "run",
            hint="Check the state out that made it, and ask again there.",
        )
    known = {one.step for one in pipelines.steps_of(tx, was.id)}
    for node in planned.graph.nodes:
        if node.name not in known:
            continue
        if canonical(node.args) != canonical(pipelines.args_of(tx, was.id, node.name)):
            raise ConflictError(
                f"The arguments of step {node.name} cannot be made again from the run's params.",
                field="version" if named_so else "run",
            )
    rows = was.tags.get(running.CAPTURED)
    if rows and not ws.objects.has(rows):
        raise ConflictError(
            f"The captured rows that {name} learnt from are gone.",
            field="version" if named_so else "run",
        )


def named(planned: running.RunPlan, cause: str) -> running.RunPlan:
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
    told = _told_somebody(steps)
    outputs = {one.step: one.output for one in steps if one.step not in told}
    return reproductions.Made(run=run, outputs=outputs, metrics=metrics, error=error)


def _told_somebody(steps: Sequence[StepRecord]) -> set[str]:
    """Return the steps that handed tokens out: a run that is made again tells nobody."""
    above = {one.step for one in steps if one.kind == "callback"}
    found: set[str] = set()
    for one in steps:  # what is planted comes after what planted it
        if one.within is not None and (one.within in above or one.within in found):
            found.add(one.step)
    return found
