"""Begin the runs that schedules ask for, end those whose steps have, register what they made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import reactor, tasks
from mainspring.engine.doing import Done, Handler
from mainspring.experiments import runs as experiments
from mainspring.ground import messages as m
from mainspring.ground.objects import Gate, LoopSpec, Run, RunStatus, StepRecord, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.workspace import gates, running
from mainspring.workspace.proofs import smoking

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Ends:
    """Carries out what is around the steps of a run."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

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
        good = (StepState.DONE, StepState.REUSED)
        broken = [s for s in steps if s.state not in good and not s.handled]
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
        from mainspring.workspace.proofs import parity

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
                id=growing.after_id(run, "judge"),
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


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of a run's begin and end."""
    own = Ends(ws)
    return {
        "run_end": own.run_end,
        "start_run": own.start_run,
        "register_version": own.register_version,
    }


def _register(record: Run) -> tasks.NewTask:
    return tasks.NewTask(
        id=growing.after_id(record.id, "register"),
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
