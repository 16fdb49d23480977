"""Carry out what controllers decide: plant steps, wait for news, start runs, end.

What is decided is pure (:mod:`mainspring.pipelines.controls`); here it is looked up before and
written after, in the one transaction that ends or parks the task. So a run's graph grows by a
whole decision or not at all, wherever the engine is killed.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import leases, tasks
from mainspring.engine.again import some as do_again
from mainspring.engine.doing import Done, Handler, Parks
from mainspring.engine.tasks import NewTask
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import BadInputError, MainspringError, StepFailedError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Run, RunStatus, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import controls, gathering, growing
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.controls import Again, Broken, End, Fail, Lot, Plant, Sleep
from mainspring.pipelines.graph import Argument, Block, Graph
from mainspring.pipelines.growing import Controller
from mainspring.workspace import calling, news, running
from mainspring.workspace import environments as building
from mainspring.workspace.data import pinning
from mainspring.workspace.handlers import answered, stopping, subruns
from mainspring.workspace.handlers.trying_again import another_try

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class _NotedError(StepFailedError):
    """A controller failed, and why is written down."""


class View:
    """What a controller knows: see :class:`mainspring.pipelines.controls.View`."""

    def __init__(
        self,
        ws: Workspace,
        controller: Controller,
        broken: Mapping[int, Sequence[Broken]],
        outputs: Mapping[str, tuple[str, str]],
        news: Mapping[str, Any] | None,
    ) -> None:
        self.name = controller.name
        self.settings: Mapping[str, Any] = controller.spec.settings
        self.args: Mapping[str, Argument] = controller.args
        self.blocks: Mapping[str, Block] = controller.spec.blocks
        self.memo: Mapping[str, Any] = controller.memo
        self.broken = broken
        self.now, self.chance = ws.clock.now(), random.random()  # noqa: S311  a wait
        self._news = news
        self.gathered = gathering.Gatherer(ws.objects, outputs)

    def value(self, argument: Argument) -> Any:
        """Return plain data."""
        return self.gathered.value(argument, self.name)

    def items(self, argument: Argument) -> list[Argument]:
        """Return the items of a list."""
        return self.gathered.items(argument, self.name)

    def part(self, argument: Argument, at: str | int) -> Argument:
        """Return a part of a value as an argument."""
        return self.gathered.part(argument, at, self.name)

    def news(self) -> Mapping[str, Any] | None:
        """Return what came for a wait."""
        return self._news


class Controllers:
    """Carries out the controllers of runs."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._kinds: dict[str, Callable[[Lease, Controller, View], Done]] = {
            "dynamic": self._dynamic,
            "run": self._run,
        }

    def control(self, lease: Lease) -> Done:
        """Ask a controller what it does next, and do it."""
        run, name = lease.task.payload["run"], lease.task.payload["step"]
        controller, view = self._look(lease, run, name)
        here("control.looked")
        try:
            special = self._kinds.get(controller.kind)
            if special is not None:
                return special(lease, controller, view)
            then = answered.as_then(self._ws, controller)
            verdict = controls.decide(controller.kind, view) if then is None else then
            here("control.decided")
            return self._carried_out(lease, controller, view, verdict)
        except _NotedError:
            raise
        except MainspringError as error:
            if isinstance(error, StepFailedError | BadInputError):
                raise self._failed(lease, controller, _told(error)) from error
            raise

    def news(self, lease: Lease) -> Done:
        """Give up waiting for news: their time is over."""
        del lease
        return Done(result={"expired": True})

    # ---------------------------------------------------------------- looking

    def _look(self, lease: Lease, run: str, name: str) -> tuple[Controller, View]:
        def look(tx: Tx) -> tuple[Controller, View, list[str]]:
            controller = growing.load(tx, run, name)
            return (
                controller,
                View(
                    self._ws,
                    controller,
                    growing.broken(tx, run, name) if controller.memo else {},
                    growing.outputs(tx, run, name),
                    _news(tx, controller),
                ),
                growing.unended(tx, run, name) if controller.memo else [],
            )

        controller, view, open_ = self._ws.read(Permission.WORK, look)
        if open_:
            self._ws.write(Permission.WORK, lambda tx: self._bury(tx, lease, run, open_))
            controller, view, _ = self._ws.read(Permission.WORK, look)
        return controller, view

    def _bury(self, tx: Tx, lease: Lease, run: str, names: Sequence[str]) -> None:
        """Write down what the engine gave up, such as a step whose workers died."""
        leases.renew(tx, lease)
        for name in names:
            task = tasks.get(tx, pipelines.task_id(run, name))
            if task is not None and task.state == "cancelled":
                pipelines.stopped(tx, run, name, "it was stopped", self._ws.clock.now())
            elif task is not None and task.state in tasks.BROKEN:
                told = task.error or f"it is {task.state}"
                pipelines.failed(tx, run, name, told, self._ws.clock.now(), types=["Lost"])

    # ---------------------------------------------------------------- doing

    def _carried_out(
        self, lease: Lease, controller: Controller, view: View, verdict: controls.Verdict
    ) -> Done:
        if isinstance(verdict, Plant):
            return self.planted(controller, verdict)
        if isinstance(verdict, Again):
            return self._again(controller, verdict)
        if isinstance(verdict, Sleep):
            return self._asleep(controller, verdict)
        if isinstance(verdict, End):
            return self.ended(controller, view, verdict)
        raise self._failed(lease, controller, verdict)

    def planted(
        self, controller: Controller, verdict: Plant, written: growing.Written | None = None
    ) -> Done:
        """Return that steps are planted, and that the controller waits for their end."""
        growing.check(controller, verdict.lots)
        at, run = self._ws.clock.now(), controller.run
        new = [_new_task(one) for one in growing.tasks(controller, verdict.lots, verdict.limit)]

        def apply(tx: Tx) -> None:
            growing.plant(tx, controller, verdict.lots, written)
            growing.goes_on(tx, controller, verdict.memo, verdict.why, at, verdict.stops)
            if verdict.handled:
                growing.handle(tx, run, controller.name, verdict.handled)
            if verdict.asks is not None:
                tasks.submit(tx, [_wait_of(controller, verdict.asks)])
            here("control.planted")

        return Done(parks=Parks(new=new), apply=apply)

    def _asleep(self, controller: Controller, verdict: Sleep) -> Done:
        at, wait = self._ws.clock.now(), _wait_of(controller, verdict)

        def apply(tx: Tx) -> None:
            growing.goes_on(tx, controller, verdict.memo, verdict.why, at)

        return Done(parks=Parks(new=[wait]), apply=apply)

    def _again(self, controller: Controller, verdict: Again) -> Done:
        """Return that what broke of some lots is done again, and that the controller waits."""
        at, run = self._ws.clock.now(), controller.run

        def begin(tx: Tx) -> None:
            broken = growing.broken_below(tx, run, controller.name, verdict.lots)
            asked = pipelines.reopen_named(tx, run, broken)
            ids = [growing.task_id(run, name) for name in broken]
            do_again(tx, ids, at + verdict.wait_s, as_ever=asked)
            here("control.again")

        def apply(tx: Tx) -> None:
            growing.goes_on(tx, controller, verdict.memo, verdict.why, at)

        return Done(parks=Parks(begin=begin), apply=apply)

    def ended(self, controller: Controller, view: View, verdict: End) -> Done:
        """Return that the controller has ended, with its result kept."""
        gathered, name = view.gathered, controller.name
        if verdict.parts is None:
            kept = gathered.kept(verdict.result, name)
        elif verdict.report is None:
            kept = gathered.listed(verdict.parts, name)
        else:
            kept = gathered.reported(verdict.parts, verdict.report, name)
        at = self._ws.clock.now()

        def apply(tx: Tx) -> None:
            growing.ended(tx, controller, kept[0], kept[1], verdict.why, at)
            if verdict.handled:
                growing.handle(tx, controller.run, controller.name, verdict.handled)
            here("control.ended")

        return Done(result={"output": kept[0]}, apply=apply)

    def _failed(self, lease: Lease, controller: Controller, verdict: Fail) -> StepFailedError:
        """Write down why a controller failed, and return the error."""
        at = self._ws.clock.now()

        def fail(tx: Tx) -> None:
            leases.renew(tx, lease)
            if verdict.memo is not None:
                growing.goes_on(tx, controller, verdict.memo, "", at)
            run, name = controller.run, controller.name
            if controller.kind == "callback":  # it may have been asked for and not come yet
                tasks.stop(tx, [news.id_of(controller)])
            pipelines.failed(tx, run, name, verdict.error, at, types=verdict.types)
            stopping.stop_rest(tx, run, name, at)

        if not lease.cancelled():
            self._ws.write(Permission.WORK, fail)
        return _NotedError(verdict.error)

    # ---------------------------------------------------------------- what needs a process

    def _dynamic(self, lease: Lease, controller: Controller, view: View) -> Done:
        """Trace a dynamic function on the values it was given; then plant what it wired."""
        if controller.memo:
            broken = view.broken.get(0)
            if broken:
                said = controls.told_of(broken)
                raise self._failed(lease, controller, Fail(error=said, types=broken[0].types))
            return self.ended(controller, view, End(result=controller.memo["result"]))
        record = self._ws.read(Permission.WORK, lambda tx: experiments.get(tx, controller.run))
        found = self._traced(lease, controller, view, record)
        block = msgspec.convert(found["block"], Block)
        block = block.filled(lambda step: f"{controller.name}.{step}", {})
        graph = Graph(pipeline="", params={}, nodes=block.nodes, result=None)
        graph = pinning.pinned(self._ws, graph, record.tags.get(running.BEFORE))
        block = msgspec.structs.replace(block, nodes=graph.nodes)
        locks = building.settled(self._ws, Path(record.tags[running.ROOT]), graph)
        told = msgspec.convert({**found, "locks": {}}, growing.Written)
        written = msgspec.structs.replace(told, locks=locks)
        here("control.traced")
        plan = Plant(
            lots=[Lot(number=0, block=block)],
            memo={"result": block.results["result"]},
            why=f"wired {len(block.nodes)} steps",
        )
        done = self.planted(controller, plan, written)
        at = self._ws.clock.now()

        def apply(tx: Tx) -> None:
            if done.apply is not None:
                done.apply(tx)
            pinning.note(tx, controller.run, graph, at)
            experiments.log_gathered(tx, controller.run, found["metrics"])

        return msgspec.structs.replace(done, apply=apply)

    def _traced(
        self, lease: Lease, controller: Controller, view: View, record: Run
    ) -> dict[str, Any]:
        root, options = record.tags[running.ROOT], controller.options
        within = options.timeout_s or self._ws.settings.wire_timeout_s
        with tempfile.TemporaryDirectory(prefix="mainspring-log-") as folder:
            outcome = calling.call(
                self._ws,
                "wire",
                {
                    "root": root,
                    "target": controller.target,
                    "step": controller.name,
                    "run": controller.run,
                    "args": {k: view.gathered.resolved(v) for k, v in controller.args.items()},
                    "pipeline": record.pipeline,
                    "experiment": record.experiment,
                    "name": record.name,
                    "code": controller.code,
                    "within_s": within,
                },
                lease,
                root=root,
                log=Path(folder) / "step.log",
                timeout_s=options.timeout_s or within + running.IMPORT_S,
            )
        if outcome.ok:
            found: dict[str, Any] = outcome.value
            return found
        error = calling.as_error(outcome)
        types = calling.types_of(error, outcome)
        if outcome.killed or lease.cancelled():
            raise error
        again = another_try(self._ws, lease, error, types, options)
        if again is not None:
            raise again
        raise self._failed(lease, controller, Fail(error=calling.words_of(error), types=types))

    def _run(self, lease: Lease, controller: Controller, view: View) -> Done:
        """Start a run of another pipeline, wait for it, hand on what it returned."""
        at = self._ws.clock.now()
        child = str(controller.memo.get("child", ""))
        known = None
        if child:
            known = self._ws.read(Permission.WORK, lambda tx: subruns.standing(tx, child))
        if known and known.status is RunStatus.FINISHED:
            return self.ended(controller, view, End(result=known.result, why=f"run {child}"))
        waited = controller.state == StepState.RUNNING  # else it is asked again, by a resume
        if known and waited and known.status is not RunStatus.RUNNING:
            told = f"run {child} of it is {known.status}: {known.error}"
            raise self._failed(lease, controller, Fail(error=told, types=known.types))
        if known:
            begin: Callable[[Tx], None] = lambda tx: subruns.go_on(tx, child)  # noqa: E731
        else:
            params = {k: view.value(v) for k, v in controller.args.items()}
            planned = subruns.planned(self._ws, controller, params, lease)
            child, begin = planned.run.id, planned.submit
            here("control.child_planned")

        def apply(tx: Tx) -> None:
            growing.goes_on(tx, controller, {"child": child}, f"waits for run {child}", at)

        parks = Parks(begin=begin, needs=[growing.end_id(child)])
        return Done(parks=parks, apply=apply)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of controllers' tasks."""
    own = Controllers(ws)
    return {"control": own.control, "news": own.news}


def _wait_of(controller: Controller, verdict: Sleep) -> NewTask:
    asked, until = int(verdict.memo["asked"]), verdict.until
    due = news.FAR if until is None else until
    return news.task_for(controller.run, controller.name, asked, due)


def _new_task(wanted: Mapping[str, Any]) -> NewTask:
    most = int(wanted["max_attempts"]) + running.ATTEMPTS
    return msgspec.convert({**wanted, "max_attempts": most}, NewTask)


def _news(tx: Tx, controller: Controller) -> Mapping[str, Any] | None:
    asked = controller.memo.get("asked")
    if not asked:
        return None
    task = tasks.get(tx, growing.news_id(controller.run, controller.name, int(asked)))
    return None if task is None else task.result


def _told(error: MainspringError) -> Fail:
    types = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
    return Fail(error=error.message if hasattr(error, "message") else str(error), types=types)
