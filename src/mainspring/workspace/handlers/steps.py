"""Carry out a pipeline's work: its steps, its end, and what follows a finished run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import leases, reactor, tasks
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import artifacts
from mainspring.experiments import runs as experiments
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError, ConflictError, DeadlineError, StepFailedError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Gate, LoopSpec, Run, RunStatus, StepRecord, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Outcome, Tx
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.workspace import calling, environments, gates, running
from mainspring.workspace.performing import room
from mainspring.workspace.performing.step import perform
from mainspring.workspace.proofs import parity, smoking

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


#: A step whose process is killed from outside is tried so often; then it is its own doing.
MOST_KILLED = 5


class Steps:
    """Carries out what a run's tasks ask for."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def step(self, lease: Lease) -> Done:
        """Reuse a step's result or run it in a process of its own."""
        run, name = lease.task.payload["run"], lease.task.payload["step"]
        now = self._ws.clock.now()
        begun = self._ws.write(
            Permission.WORK,
            lambda tx: (
                pipelines.prepare(tx, run, name, self._ws.objects.has, home=self._ws.home),
                experiments.get(tx, run),
            ),
        )
        plan, record = begun
        here("step.prepared")
        if plan.reused:
            return Done(result={"reused": True}, apply=lambda tx: _reuse(tx, plan, now))

        refusal = room.wanting(self._ws.settings, plan.options)
        if refusal:
            told = Outcome(ok=False, error=f"Step {name} {refusal}", code=BadInputError.code)
            raise self._failed(lease, plan, told, None, plan.attempt + 1)
        with room.taken(self._ws, plan.options, lease.cancelled) as given:
            if given is None:
                raise StepFailedError(f"Step {name} was cancelled before there was room for it.")
            return self._run(lease, plan, record, given)

    def _run(
        self,
        lease: Lease,
        plan: pipelines.StepPlan,
        record: Run,
        given: Sequence[dict[str, str]],
    ) -> Done:
        """Run a step that there is room for."""

        def start(tx: Tx) -> int:
            leases.renew(tx, lease)  # who lost the lease must not touch the step's row
            return pipelines.started(tx, plan, self._ws.clock.now())

        attempt = self._ws.write(Permission.WORK, start)
        here("step.started")
        root = record.tags[running.ROOT]
        python, settled = self._python(lease, plan, record, attempt)
        with tempfile.TemporaryDirectory(prefix="mainspring-log-") as folder:
            log, files = Path(folder) / "step.log", Path(folder) / "kept"
            outcome = perform(
                self._ws,
                plan.options,
                {
                    "root": root,
                    "target": plan.target,
                    "step": plan.step,
                    "run": plan.run,
                    "args": plan.args,
                    "pipeline": record.pipeline,
                    "code": plan.code if settled else "",
                    "kept": str(files),
                    "sample": None if plan.inputs else smoking.rows_of(record),
                },
                lease,
                root=root,
                log=log,
                given=given,
                python=python,
            )
            kept = self._ws.objects.put_file(log) if log.exists() and log.stat().st_size else None
            self._attach(lease, plan, files)
        here("step.ran")
        if not outcome.ok:
            raise self._failed(lease, plan, outcome, kept, attempt)
        return Done(
            result={"output": outcome.value["output"]},
            apply=lambda tx: self._keep(tx, plan, outcome.value, kept),
        )

    def _python(
        self, lease: Lease, plan: pipelines.StepPlan, record: Run, attempt: int
    ) -> tuple[str | None, bool]:
        """Return the interpreter of the step's environment (None: ours), built if need be.

        And whether its Python is of our version: another reads the same code as another tree,
        so that the digest the step was planned with says nothing there.
        """
        wanted = plan.env if plan.options.apart else record.tags.get(running.ENVIRONMENT)
        if not wanted:
            return None, True
        try:
            return environments.python_of(self._ws, wanted, lease.cancelled)
        except (BadInputError, ConflictError) as error:
            told = Outcome(ok=False, error=str(error), code=error.code)
            raise self._failed(lease, plan, told, None, attempt) from error

    def _attach(self, lease: Lease, plan: pipelines.StepPlan, files: Path) -> None:
        """Make what a step kept artifacts of its run, whether it ended well or not."""
        if not files.is_dir():
            return
        found = [
            (f"{plan.step}/{file.name}", self._ws.objects.put_file(file), file.stat().st_size)
            for file in sorted(files.iterdir())
        ]

        def attach(tx: Tx) -> None:
            leases.renew(tx, lease)
            for path, digest, size in found:
                artifacts.put(tx, plan.run, path, digest, size, self._ws.clock.now())

        self._ws.write(Permission.WORK, attach)

    def _keep(
        self, tx: Tx, plan: pipelines.StepPlan, value: dict[str, Any], log: str | None
    ) -> None:
        output = pipelines.Output(
            digest=value["output"],
            type=value["output_type"],
            blobs=value["blobs"],
            log=log,
            metrics=value["metrics"],
            wall_s=value["wall_s"],
            cpu_s=value["cpu_s"],
        )
        pipelines.finished(tx, plan, output, self._ws.clock.now())
        experiments.log_gathered(tx, plan.run, value["metrics"])

    def _failed(
        self,
        lease: Lease,
        plan: pipelines.StepPlan,
        outcome: Outcome,
        log: str | None,
        attempt: int,
    ) -> Exception:
        """Write down why a step failed, unless it is to be tried again, and return the error."""
        error = calling.as_error(outcome)
        if lease.cancelled():
            return error
        if outcome.killed and attempt < MOST_KILLED:
            return error
        # Killed too often, or out of the time it was given: its own doing, and its own retries.
        if outcome.killed or outcome.code == DeadlineError.code:
            error = StepFailedError(str(error), trace=outcome.trace)
        if isinstance(error, StepFailedError) and attempt <= plan.options.retries:
            return _Again(str(error))
        at = self._ws.clock.now()

        def fail(tx: Tx) -> None:
            leases.renew(tx, lease)
            pipelines.failed(tx, plan.run, plan.step, str(error), at, trace=outcome.trace, log=log)

        self._ws.write(Permission.WORK, fail)
        return error

    def run_end(self, lease: Lease) -> Done:
        """Mark a run as ended and hand on what it made."""
        run = lease.task.payload["run"]
        now = self._ws.clock.now()

        def look(tx: Tx) -> tuple[Run, list[Any], LoopSpec | None, dict[str, str]]:
            record, steps = running.state(tx, run)
            loop = record.tags.get("loop")
            spec = reactor.spec_or_none(tx, loop) if loop else None
            given_up = {t.id: t.error for t in tasks.list_tasks(tx, run) if t.state == "failed"}
            return record, steps, spec, given_up

        record, steps, spec, given_up = self._ws.read(Permission.WORK, look)
        broken = [s for s in steps if s.state not in (StepState.DONE, StepState.REUSED)]
        # What the engine gave up, such as a step whose workers died, does not know it yet.
        lost = {s.step: given_up.get(pipelines.task_id(run, s.step), "") for s in broken}
        lost = {s.step: lost[s.step] for s in broken if lost[s.step] and not s.error}
        status = RunStatus.FINISHED
        if broken:
            cancelled = "mainspring.cancelled" in record.tags
            status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
        follow: list[tasks.NewTask] = []
        if not broken and running.REGISTER in record.tags:
            follow = [_register(record)]

        def apply(tx: Tx) -> None:
            for step, error in lost.items():
                pipelines.failed(tx, run, step, error, now)
            if broken:
                pipelines.cancelled(tx, run, now)
            # A person may have ended it by hand; the loop must hear of its end all the same.
            if experiments.get(tx, run).status is RunStatus.RUNNING:
                experiments.end(tx, run, status, now)
            tasks.submit(tx, follow)
            smoking.note(tx, record, steps, told, now)

        told = next((s.error for s in broken if s.error), next(iter(lost.values()), ""))
        return Done(apply=apply, events=_trained(record, steps, spec, status, told))

    def start_run(self, lease: Lease) -> Done:
        """Start the run that a schedule asks for; the same firing again starts no second one."""
        asked, cause = lease.task.payload, lease.task.id
        tags = {running.SCHEDULE: asked["schedule"]}
        if asked.get("register"):
            tags[running.REGISTER] = asked["register"]
        planned = running.plan(
            self._ws,
            asked["root"],
            asked["pipeline"],
            asked["params"],
            cause=cause,
            tags=tags,
            lease=lease,
            fire_at=asked["fire_at"],
        )
        return Done(result={"run": planned.run.id}, apply=planned.submit)

    def register_version(self, lease: Lease) -> Done:
        """Register what a person's run made and put it through the gate."""
        run, model = lease.task.payload["run"], lease.task.payload["model"]

        def look(tx: Tx) -> tuple[Any, Gate, float]:
            spec = next((s for s in reactor.loops(tx) if s.model == model), None)
            card = spec.card if spec else None
            view = reactor.view_or_none(tx, spec.name) if spec else None
            made = running.version_of(
                self._ws, tx, run, model, card, f"run:{run}", command=lease.task.id
            )
            at = view.now if view and view.now else self._ws.clock.now()
            return made, gates.of_model(tx, model).gate, at

        made, policy, at = self._ws.read(Permission.WORK, look)
        compared = parity.of(self._ws, made.package)

        def apply(tx: Tx) -> None:
            version = registry.register(tx, made)
            parity.keep(tx, version, compared, self._ws.clock.now())
            experiments.set_tags(tx, run, {"mainspring.version": f"{model}/{version.number}"})
            judge = tasks.NewTask(
                id=f"{run}:judge",
                kind="judge_version",
                payload={
                    "model": model,
                    "number": version.number,
                    "policy": msgspec.to_builtins(policy),
                    "at": at,
                },
                group=run,
            )
            tasks.submit(tx, [judge])

        return Done(apply=apply)


class _Again(Exception):  # noqa: N818  not an error of ours: it asks the engine for another try
    """The user's step raised and has tries left."""


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of a run's tasks."""
    steps = Steps(ws)
    return {
        "step": steps.step,
        "run_end": steps.run_end,
        "start_run": steps.start_run,
        "register_version": steps.register_version,
    }


def _reuse(tx: Tx, plan: pipelines.StepPlan, at: float) -> None:
    """Take a result over, with the metrics that were logged when it was computed."""
    pipelines.reused(tx, plan, at)
    experiments.log_gathered(tx, plan.run, plan.metrics)


def _register(record: Run) -> tasks.NewTask:
    return tasks.NewTask(
        id=f"{record.id}:register",
        kind="register_version",
        payload={"run": record.id, "model": record.tags[running.REGISTER]},
        group=record.id,
    )


def _trained(
    record: Run, steps: list[StepRecord], spec: LoopSpec | None, status: RunStatus, told: str
) -> list[tuple[str, m.AnyEvent]]:
    """Tell the loop that asked for the run how it ended."""
    kind, _, command = (record.cause or "").partition(":")
    if kind != "command" or spec is None:
        return []
    event = m.Trained(
        loop=spec.name,
        at=float(record.tags.get("until", 0.0)),
        command=command,
        run=record.id,
        ok=status is RunStatus.FINISHED,
        reason=told or str(status),
        # What was reused took nobody's time this time.
        seconds=sum(s.wall_s for s in steps if s.state is not StepState.REUSED),
    )
    return [(f"trained:{command}", event)]
