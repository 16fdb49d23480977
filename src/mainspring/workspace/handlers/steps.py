"""Carry out the steps of runs: each reused, or run in a process of its own."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mainspring.engine import leases
from mainspring.engine.doing import Done, Handler, Opener
from mainspring.experiments import artifacts
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    DeadlineError,
    MainspringError,
    MemoryLimitError,
    StepFailedError,
    StoreError,
    UnavailableError,
)
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Outcome, Tx
from mainspring.pipelines import checkpoint_rows as checkpoints
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.checkpoints import Kept
from mainspring.pipelines.options import Resources
from mainspring.workspace import (
    callbacks,
    calling,
    environments,
    printing,
    running,
    verified,
)
from mainspring.workspace.data import pinning
from mainspring.workspace.handlers import stopping
from mainspring.workspace.handlers.trying_again import another_try
from mainspring.workspace.performing import keeping, room
from mainspring.workspace.performing import secrets as secrets_
from mainspring.workspace.performing.step import perform
from mainspring.workspace.proofs import smoking

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import Workspace


#: A step whose process is killed from outside is tried so often; then it is its own doing.
MOST_KILLED = 5
_RUNS = 1_000  # of which it is remembered what their steps need to know


class Opened(NamedTuple):
    """A step whose task was taken, and what is to be done for it."""

    plan: pipelines.StepPlan
    about: About
    attempt: int  #: 0 if it does not run yet: it waits for room, or a result is looked at first
    there: list[Kept]  #: from which it goes on


class About(NamedTuple):
    """What a step needs to know of its run; none of it changes."""

    root: str
    pipeline: str | None
    sample: int | None
    environment: str | None  #: digest of the one it was asked to run in; None: ours
    experiment: str
    name: str


class Steps:
    """Carries out what a run's tasks ask for."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._seen = verified.Verified(ws.objects)
        self._about: dict[str, About] = {}

    def open(self, tx: Tx, lease: Lease, damaged: Collection[str] = ()) -> Opened | Done:
        """Say what is to be done for a step, and mark it as running if it is to be run."""
        run, name = lease.task.payload["run"], lease.task.payload["step"]
        now = self._ws.clock.now()
        plan = pipelines.prepare(
            tx, run, name, self._ws.objects.has, damaged=damaged, home=self._ws.home, at=now
        )
        if plan.reused and self._seen.known(plan.blobs):
            return Done(result={"reused": True}, apply=lambda tx: _reuse(tx, plan, now))
        waits = plan.reused or plan.options.resources != Resources() or plan.options.secrets
        attempt = 0 if waits else pipelines.started(tx, plan, now)
        there = checkpoints.newest(tx, checkpoints.scope_of(plan))
        return Opened(plan, self._about_run(tx, run), attempt, there)

    def undo(self, tx: Tx, lease: Lease) -> None:
        """Let a step wait again that was opened and never begun."""
        if lease.opened.attempt:
            pipelines.unstarted(tx, lease.task.payload["run"], lease.task.payload["step"])

    def step(self, lease: Lease) -> Done:
        """Reuse a step's result or run it in a process of its own."""
        opened = lease.opened or self._open(lease)
        here("step.prepared")
        if isinstance(opened, Opened) and opened.plan.reused:
            opened = self._checked(lease, opened)
        if isinstance(opened, Done):
            return opened
        plan = opened.plan
        try:
            room.check(self._ws.settings, plan.step, plan.options)
            secrets = secrets_.resolved(self._ws, plan.step, plan.options.secrets)
        except BadInputError as error:
            told = Outcome(ok=False, error=str(error), code=error.code)
            raise self._failed(lease, plan, told, None, plan.attempt + 1) from error
        with room.taken(self._ws, plan.options, lease.cancelled) as given:
            if given is None:
                told_ = f"Step {plan.step} was cancelled before there was room for it."
                raise StepFailedError(told_)
            return self._run(lease, opened, given, secrets)

    def _run(
        self,
        lease: Lease,
        opened: Opened,
        given: Sequence[dict[str, str]],
        secrets: dict[str, str],
    ) -> Done:
        """Run a step that there is room for."""
        plan, about, attempt, there = opened
        if not attempt:
            attempt = self._ws.write(Permission.WORK, lambda tx: self._start(tx, lease, plan))
        here("step.started")
        python, settled = self._python(lease, plan, about, attempt)
        args = self._placed(lease, plan, attempt)
        tokens = callbacks.made(self._ws, lease, args)
        here("step.tokens_made")
        with _log_file(self._ws, plan) as log:
            files = log.with_suffix(".kept")
            outcome = perform(
                self._ws,
                plan.options,
                {
                    "root": about.root,
                    "target": plan.target,
                    "step": plan.step,
                    "run": plan.run,
                    "args": callbacks.filled(args, tokens) if tokens else args,
                    "seed": plan.seed,
                    "pipeline": about.pipeline,
                    "experiment": about.experiment,
                    "name": about.name,
                    "code": plan.code if settled else "",
                    "declared": plan.declared,
                    "kept": str(files),
                    "beat": str(log.with_suffix(".beat")) if plan.options.heartbeat_s else "",
                    "checkpoints": {
                        "scope": checkpoints.scope_of(plan),
                        "there": msgspec.to_builtins(there),
                        "own": keeping.own_of(self._ws, plan, self._seen),
                        "folders": keeping.folders_of(self._ws, plan),
                        "settings": _to_open(self._ws.settings),
                    },
                    "sample": None if plan.inputs else about.sample,
                },
                lease,
                root=about.root,
                log=log,
                given=given,
                secrets=secrets,
                tokens=tokens.values(),
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
        self, lease: Lease, plan: pipelines.StepPlan, about: About, attempt: int
    ) -> tuple[str | None, bool]:
        """Return the interpreter of the step's environment (None: ours), built if need be.

        And whether its Python is of our version: another reads the same code as another tree,
        so that the digest the step was planned with says nothing there.
        """
        wanted = plan.env if plan.options.apart else about.environment
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

    def _start(self, tx: Tx, lease: Lease, plan: pipelines.StepPlan) -> int:
        leases.renew(tx, lease)  # who lost the lease must not touch the step's row
        return pipelines.started(tx, plan, self._ws.clock.now())

    def _open(self, lease: Lease, damaged: Collection[str] = ()) -> Opened | Done:
        def work(tx: Tx) -> Opened | Done:
            leases.renew(tx, lease)  # who lost the lease must not touch the step's row
            return self.open(tx, lease, damaged)

        return self._ws.write(Permission.WORK, work)

    def _checked(self, lease: Lease, opened: Opened) -> Opened | Done:
        """Read the objects of a result before it is reused; if one is damaged, run the step."""
        plan, now = opened.plan, self._ws.clock.now()
        damaged = self._seen.damaged(plan.blobs)
        if damaged:
            return self._open(lease, damaged)
        return Done(result={"reused": True}, apply=lambda tx: _reuse(tx, plan, now))

    def _about_run(self, tx: Tx, run: str) -> About:
        """Return what a step needs to know of its run, asked once however many its steps are."""
        if run not in self._about:
            record = experiments.get(tx, run)
            if len(self._about) >= _RUNS:
                self._about.clear()
            root = record.tags[running.ROOT]
            self._about[run] = About(
                root,
                record.pipeline,
                smoking.rows_of(record),
                record.tags.get(running.ENVIRONMENT),
                record.experiment,
                record.name,
            )
        return self._about[run]

    def _placed(self, lease: Lease, plan: pipelines.StepPlan, attempt: int) -> dict[str, Any]:
        """Put the data that a step reads where it can read it, and return its arguments."""
        try:
            return pinning.placed(self._ws, plan.args)
        except MainspringError as error:
            told = Outcome(ok=False, error=f"Step {plan.step}: {error}", code=error.code)
            raise self._failed(lease, plan, told, None, attempt) from error

    def _keep(
        self, tx: Tx, plan: pipelines.StepPlan, value: dict[str, Any], log: str | None
    ) -> None:
        output = pipelines.Output(
            digest=value["output"],
            type=value["output_type"],
            blobs=value["blobs"],
            log=log,
            metrics=value["metrics"],
            reads=value.get("reads", []),
            wall_s=value["wall_s"],
            cpu_s=value["cpu_s"],
        )
        pipelines.finished(tx, plan, output, self._ws.clock.now())
        checkpoints.forget(tx, checkpoints.scope_of(plan), plan.options.workers)
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
        elif outcome.code == MemoryLimitError.code:
            error = MemoryLimitError(f"Step {plan.step} {outcome.error}.")
        if isinstance(error, StoreError | UnavailableError) and not _last(lease):
            return error  # such as a full disk: there may be room by the next try
        types = calling.types_of(error, outcome)
        again = another_try(self._ws, lease, error, types, plan.options)
        if again is not None:
            return again
        at = self._ws.clock.now()

        def fail(tx: Tx) -> None:
            leases.renew(tx, lease)
            run, step, told = plan.run, plan.step, calling.words_of(error)
            trace = outcome.trace
            pipelines.failed(tx, run, step, told, at, trace=trace, log=log, types=types)
            stopping.stop_rest(tx, run, step, at)

        self._ws.write(Permission.WORK, fail)
        return error


def handlers(steps: Steps) -> dict[str, Handler]:
    """Return the handler of steps."""
    return {"step": steps.step}


def openers(steps: Steps) -> dict[str, Opener]:
    """Return what a run's tasks want written in the transaction that takes them."""
    return {"step": Opener(steps.open, steps.undo)}


def _to_open(settings: Settings) -> dict[str, Any]:
    """Return what opens this home, without what we show to others: a step is a user's code."""
    told = msgspec.structs.replace(
        settings, url=None, token=None, openlineage_key=None, openlineage_headers={}
    )
    found: dict[str, Any] = msgspec.to_builtins(told)
    return found


def _last(lease: Lease) -> bool:
    return lease.attempt >= lease.task.last_attempt


@contextmanager
def _log_file(ws: Workspace, plan: pipelines.StepPlan) -> Iterator[Path]:
    """Give the file that what a step prints goes to while it runs; others may follow it."""
    file = printing.file_of(ws.home, plan.run, plan.step)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _take_away(file)
    try:
        yield file
    finally:
        _take_away(file)


def _take_away(log: Path) -> None:
    log.unlink(missing_ok=True)
    for beat in log.parent.glob(f"{glob.escape(log.stem)}.beat*"):
        beat.unlink(missing_ok=True)
    shutil.rmtree(log.with_suffix(".kept"), ignore_errors=True)


def _reuse(tx: Tx, plan: pipelines.StepPlan, at: float) -> None:
    """Take a result over, with the metrics that were logged when it was computed."""
    pipelines.reused(tx, plan, at)
    experiments.log_gathered(tx, plan.run, plan.metrics)
