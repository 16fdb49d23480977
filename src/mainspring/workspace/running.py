"""Start runs of pipelines, follow them, and find out what they made."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import again, leases, tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.clock import iso
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    DeadlineError,
    WiringTimeoutError,
)
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.locks import Lock
from mainspring.ground.objects import Card, Run, RunStatus, Signature, StepRecord, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.code import digest_of
from mainspring.pipelines.graph import Graph
from mainspring.pipelines.reading import codes as codes
from mainspring.pipelines.texts import CodeText, as_kept
from mainspring.workspace import calling, captured, environments
from mainspring.workspace.captured import Captured
from mainspring.workspace.data import pinning
from mainspring.workspace.performing import room

if TYPE_CHECKING:
    import polars as pl

    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

#: The tag that says who started a run by hand.
BY = "mainspring.by"
CANCELLED = "mainspring.cancelled"  #: by whom
#: Tags by which a run carries what its end needs to know.
REGISTER, RESULT, CODE, ROOT, FRESH, CAPTURED, SCHEDULE, TRAINING_SET, SMOKE, ENVIRONMENT = (
    "mainspring.register",
    "mainspring.result",
    "mainspring.code",
    "mainspring.root",
    "mainspring.fresh",
    "mainspring.captured",
    "mainspring.schedule",
    "mainspring.training_set",
    "mainspring.smoke",
    "mainspring.environment",  # digest of the one that all its steps run in, if it is not ours
)


#: The tag that says which run this one makes again.
BEFORE = "mainspring.before"
#: The tag that says for which fire time a run was started, and the param that takes it.
SCHEDULED, FIRE_AT = "mainspring.scheduled_at", "fire_at"
_PARQUET = b"PAR1"
#: Workers may die, and stores be away, so often under one task of a run. What a user's code
#: raises is not tried again unless the step says so.
ATTEMPTS = 10
IMPORT_S = 120.0  #: that a project may take to be imported, before its pipeline is wired


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is ready to be handed out; ``submit`` writes all of it in one transaction."""

    run: Run
    graph: Graph
    code: dict[str, Any]
    environment: dict[str, str]
    fresh: tuple[str, ...] = ()
    pinned: dict[str, str] = {}  #: step -> the run whose result it takes
    texts: dict[str, dict[str, CodeText]] = {}  #: of the parts of the code, by target
    locks: dict[str, Lock] = {}  #: of steps with their own environment; "": of all others
    captured: Captured = Captured()

    def tagged(self, tags: Mapping[str, str]) -> RunPlan:
        """Return the plan with more tags on its run."""
        run = msgspec.structs.replace(self.run, tags={**self.run.tags, **tags})
        return msgspec.structs.replace(self, run=run)

    def submit(self, tx: Tx) -> None:
        """Write the run, its steps and its tasks; twice is as good as once."""
        if self.run.cause is not None and experiments.find(tx, cause=self.run.cause) is not None:
            return
        experiments.create(tx, self.run)
        self.captured.put(tx, self.run.id, self.run.started)
        wanted = pipelines.plan(
            tx,
            self.run.id,
            self.graph,
            self.code,
            self.environment,
            fresh=self.fresh,
            pinned=self.pinned,
            locks=self.locks,
            written=self.texts,
            seed=int(self.run.tags.get(captured.SEED, 0)),
        )
        pinning.note(tx, self.run.id, self.graph, self.run.started)
        new = [msgspec.convert(task, tasks.NewTask) for task in wanted]
        attempts = [task.max_attempts + ATTEMPTS for task in new]
        tasks.submit(
            tx,
            [
                msgspec.structs.replace(task, max_attempts=most)
                for task, most in zip(new, attempts, strict=True)
            ],
        )


def plan(
    ws: Workspace,
    root: str,
    pipeline: str,
    params: Mapping[str, Any],
    *,
    offered: Mapping[str, Any] | None = None,
    cause: str | None = None,
    tags: Mapping[str, str] | None = None,
    fresh: tuple[str, ...] = (),
    lease: Lease | None = None,
    fire_at: float | None = None,
    python: str | None = None,
    locks: Mapping[str, Lock] | None = None,
    before: str | None = None,
) -> RunPlan:
    """Trace a pipeline in a process of its own and return its run, ready to be handed out.

    ``offered`` are params that are given only if the pipeline asks for them by name.
    ``fire_at`` is the time at which a schedule fired: the param ``fire_at`` where the pipeline
    has one, and what ``scheduled_at`` says in its body. ``python`` is the interpreter of another
    environment that it is planned in, ``locks`` are those of steps with their own; without, they
    are resolved. ``before`` is a run that this one makes again: it reads the data that one read.

    Raises:
        ProjectError: if the project cannot be imported or the pipeline is not there.
        BadInputError: for a param that is unknown or of the wrong type.
    """
    asked: dict[str, Any] = {"root": root, "pipeline": pipeline, "params": dict(params)}
    given = dict(offered or {})
    if fire_at is not None and FIRE_AT not in params:
        given |= {FIRE_AT: iso(fire_at)}
    asked |= {"offered": given, "fire_at": fire_at}
    found = _traced(ws, asked, lease, python)
    if found["loads"] and python is None:
        ws.spoken.loads(root)
    graph = msgspec.convert(found["graph"], Graph)
    graph = pinning.pinned(ws, graph, before)
    room.check_all(ws.settings, graph.nodes)
    told = {RESULT: graph.result or "", CODE: digest_of(found["code"]), ROOT: root}
    made_of = captured.of(ws, Path(root), installed=python is None)
    told |= made_of.tags
    own = environments.settled(ws, Path(root), graph) if locks is None else locks
    if before is not None:
        told[BEFORE] = before
    if fire_at is not None:
        told[SCHEDULED] = iso(fire_at)
    name = graph.pipeline.partition(":")[2]
    run = Run(
        id=new_id("run"),
        experiment=name,
        name=name,
        status=RunStatus.RUNNING,
        started=ws.clock.now(),
        pipeline=graph.pipeline,
        cause=cause,
        params={k: v if isinstance(v, str) else canonical(v).decode() for k, v in _given(graph)},
        tags={**told, **(tags or {})},
    )
    return RunPlan(
        run=run,
        graph=graph,
        code=found["code"],
        texts={target: as_kept(texts) for target, texts in found["texts"].items()},
        environment=found["environment"],
        fresh=fresh,
        captured=made_of,
        locks={"": msgspec.convert(found["lock"], Lock), **own},
    )


def _traced(
    ws: Workspace, asked: dict[str, Any], lease: Lease | None, python: str | None
) -> dict[str, Any]:
    """Return the graph of a pipeline and what it is made of, by its body in a process of its own.

    Raises:
        WiringTimeoutError: if the body does not come to its end.
    """
    within = ws.settings.wire_timeout_s
    try:
        found: dict[str, Any] = calling.child(
            ws, "trace", {**asked, "within_s": within}, lease, root=asked["root"], python=python,
            timeout_s=within + IMPORT_S,
        )  # fmt: skip
    except DeadlineError as error:
        raise WiringTimeoutError(
            f"{asked['pipeline']} had not wired its steps after {within + IMPORT_S:g} s, nor could"
            " its body be interrupted; the project's import takes as long, perhaps.",
            field="pipeline",
        ) from error
    return found


def start_run(
    ws: Workspace,
    pipeline: str,
    params: Mapping[str, Any] | None = None,
    *,
    register: str | None = None,
    fresh: tuple[str, ...] = (),
    start: str | None = None,
) -> str:
    """Submit a run of a project's pipeline and return its id; an engine carries it out.

    ``register`` names a model: what the pipeline returns becomes a candidate of it, and is
    put through the gate. ``fresh`` names steps that run even if a result could be reused;
    ``start`` names one, and those that follow it are fresh too.
    """
    tags = {BY: ws.who.name} | ({REGISTER: register} if register else {})
    planned = plan(
        ws, ws.settings.root, pipeline, params or {}, tags=tags, fresh=fresh, cause=None
    )
    if start is not None:
        again = (*fresh, *planned.graph.after(start))
        planned = msgspec.structs.replace(planned, fresh=again)
    check_result(planned, register)
    ws.write(Permission.RUN, planned.submit)
    return planned.run.id


def check_result(planned: RunPlan, register: str | None) -> None:
    """Refuse to register the result of a pipeline that has none.

    Raises:
        BadInputError: if a model is named and the pipeline returns nothing.
    """
    if register and not planned.graph.result:
        raise BadInputError(
            f"{planned.run.pipeline} returns nothing, so there is nothing to register as"
            f" {register}.",
            field="register",
            hint="Let the pipeline return what its train step returns.",
        )


def state(tx: Tx, run: str) -> tuple[Run, list[StepRecord]]:
    """Return a run and its steps as they stand."""
    return experiments.get(tx, run), pipelines.steps_of(tx, run)


def cancel(ws: Workspace, run: str) -> None:
    """Stop a run: what has not begun never does, what runs is ended.

    Raises:
        ConflictError: if it has ended already.
    """

    def work(tx: Tx) -> None:
        now = experiments.get(tx, run)
        if now.status is not RunStatus.RUNNING:
            raise ConflictError(f"Run {run} has ended already: it is {now.status}.", field="run")
        cancel_in(tx, run)

    ws.write(Permission.RUN, work)


def cancel_in(tx: Tx, run: str) -> None:
    """Stop a run that is at work, and the runs that its steps started."""
    experiments.set_tags(tx, run, {CANCELLED: tx.who.name})
    tasks.cancel(tx, run)
    for child in experiments.children_at_work(tx, run):
        cancel_in(tx, child)


def resume_in(tx: Tx, run: str, now: RunPlan | None = None) -> None:
    """Let a failed or cancelled run go on; a failure that was dealt with stays as it is.

    ``now`` is the same run as it would be planned now: what is left runs with that code. A run
    whose engine was killed never came to its end, and is as it should be to go on.
    """
    if now is None and experiments.get(tx, run).status is RunStatus.RUNNING:
        leases.orphan(tx, leases.orphaned(tx))
        if not leases.held(tx, run):
            return
    if experiments.get(tx, run).status is RunStatus.FINISHED:
        raise ConflictError(
            f"Run {run} is finished: nothing of it is left to go on with.",
            field="run",
            hint=f"Make it again: mainspring rerun {run}",
        )
    experiments.resume(tx, run)
    experiments.set_tags(tx, run, {CANCELLED: None})
    leave = [pipelines.task_id(run, one) for one in growing.handled(tx, run)]
    if now is None:
        pipelines.reopen(tx, run)
    else:
        pipelines.reopen(tx, run, now.code, now.texts)
        experiments.set_tags(tx, run, {CODE: now.run.tags[CODE]})
    again.retry(tx, run, leave)


def refuse_smoke(run: Run) -> None:
    """Refuse to make a version of what a smoke run gave: it learnt from a sample.

    Raises:
        ConflictError: if the run is one.
    """
    if SMOKE in run.tags:
        raise ConflictError(
            f"Run {run.id} is a smoke run: it learnt from a sample, and makes no version.",
            field="run",
            hint="Run the pipeline without --smoke.",
        )


def version_of(
    ws: Workspace,
    tx: Tx,
    run: str,
    model: str,
    card: Card | None,
    cause: str | None,
    command: str,
) -> Version:
    """Return the candidate that a finished run made, not yet registered.

    Raises:
        ConflictError: if the pipeline did not return a model.
    """
    from mainspring.scaling.models import package

    made = experiments.get(tx, run)
    refuse_smoke(made)
    step = made.tags[RESULT]
    digest, kind = pipelines.output_of(tx, run, step)
    if kind != "model":
        raise ConflictError(
            f"Step {step} of run {run} returned a {kind}, and only a model can be registered.",
            hint="Return what ms.Model(...).fit(...) returned.",
        )
    profile = package.profile(digest, ws.objects)
    data = {
        f"{one.step}.{name}": digest_
        for one in pipelines.steps_of(tx, run)
        for name, digest_ in one.inputs.items()
        if one.step == step
    }
    if CAPTURED in made.tags:
        data["captured"] = made.tags[CAPTURED]
    if card is not None:
        card = msgspec.structs.replace(
            card,
            data=card.data or f"{profile.rows:,} rows, run {run}",
            metrics=card.metrics or profile.metrics,
        )
    return Version(
        model=model,
        number=0,
        run=run,
        package=digest,
        signature=package.signature(digest, ws.objects),
        card=card,
        metrics=profile.metrics,
        created=ws.clock.now(),
        by=tx.who.name,
        cause=cause,
        data=data,
        code=made.tags[CODE],
        command=command,
        trained_until=_newest(ws, data, package.signature(digest, ws.objects)),
    )


def learnt_rows(ws: Workspace, data: Mapping[str, str], target: str) -> pl.DataFrame | None:
    """Return the rows a version learnt from, if they are still kept as a frame.

    They are the input of the step that made it which holds the target.
    """
    import polars as pl

    for digest in data.values():
        if not ws.objects.has(digest):
            continue
        found = ws.objects.get(digest)
        if found[:4] == _PARQUET:
            rows = pl.read_parquet(io.BytesIO(found))
            if target in rows.columns:
                return rows
    return None


def _newest(ws: Workspace, data: Mapping[str, str], signature: Signature) -> float | None:
    """Return the event time of the newest row a version learnt from, where rows have one."""
    from mainspring.retraining.assemble import seconds

    rows = None if signature.time is None else learnt_rows(ws, data, signature.target)
    if rows is None or signature.time not in rows.columns:
        return None
    newest = seconds(rows[signature.time]).max()
    return None if newest is None else float(newest)  # type: ignore[arg-type]


def _given(graph: Graph) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in graph.params.items() if value is not None]
