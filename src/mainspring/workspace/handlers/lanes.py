"""Carry out repeats and tunings: a lane does one child after the other until none is left.

``parallel`` is the number of lanes, so it holds however many workers there are. A lane is a
task of the engine: when its worker dies another takes it over, marks the child that died with
it as crashed and does it again.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import leases
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import artifacts, families, runs
from mainspring.experiments.families import Family
from mainspring.ground.errors import MainspringError, StepFailedError, UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import calling
from mainspring.workspace.families import child, study, summary, turns
from mainspring.workspace.families.kinds import END, LANE, OWN, OWN_LANE
from mainspring.workspace.families.reports import Heard
from mainspring.workspace.families.turns import Turn
from mainspring.workspace.handlers.piping import Drive, piped
from mainspring.workspace.tracking.catching_up import catch_up

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

LOG, TRACE = "mainspring/log.txt", "mainspring/trace.txt"


class Lanes:
    """Carries out what a repeat's or a tuning's tasks ask for."""

    def __init__(self, ws: Workspace, drive: Drive) -> None:
        self._ws = ws
        self._drive = drive
        self._settings = msgspec.structs.replace(ws.settings, url=None, token=None)

    def lane(self, lease: Lease) -> Done:
        """Do children until none is left or it is time to stop."""
        parent, number = str(lease.task.payload["run"]), int(lease.task.payload["lane"])
        whole = self._ws.read(Permission.WORK, lambda tx: runs.get(tx, parent))
        family = families.family_of(whole)
        if family.kind == "tune" and family.sampler != "grid":
            importlib.import_module("optuna")  # slow, and not to be done inside a transaction
        count = 0
        while not lease.cancelled():

            def take(tx: Tx) -> Turn | None:
                leases.renew(tx, lease)  # who lost the lease begins nothing
                return turns.take(tx, parent, number, self._ws.clock.now())

            turn = self._ws.write(Permission.WORK, take)
            if turn is None:
                return Done(result={"children": count})
            here("lane.taken")
            self._do(lease, family, turn)
            here("lane.settled")
            count += 1
        raise StepFailedError("It was cancelled.")

    def end(self, lease: Lease) -> Done:
        """Write down what came of all children, once every lane is through."""
        parent = str(lease.task.payload["run"])
        now = self._ws.clock.now()
        return Done(apply=lambda tx: summary.end(tx, parent, now))

    def _do(self, lease: Lease, family: Family, turn: Turn) -> None:
        """Do one child and write down how it ended."""
        with tempfile.TemporaryDirectory(prefix="mainspring-log-") as folder:
            log = Path(folder) / "log.txt"
            status, error, trace = RunStatus.FINISHED, "", ""
            found: dict[str, Any] = {"metrics": [], "pruned": False}
            try:
                found = self._called(lease, family, turn, log)
                catch_up(self._ws)  # what it logged on its way
                self._check(family, turn, found)
            except MainspringError as failure:
                status, error = RunStatus.FAILED, str(failure)
                trace = getattr(failure, "trace", "")
                if isinstance(failure, UnavailableError):  # its process was killed from outside
                    status = RunStatus.CRASHED
                if lease.cancelled():
                    status, error = RunStatus.CANCELLED, ""
            here("lane.ran")
            kept = {}
            if log.exists() and log.stat().st_size:
                kept[LOG] = (self._ws.objects.put_file(log), log.stat().st_size)
            if trace:
                data = trace.encode("utf-8", "replace")
                kept[TRACE] = (self._ws.objects.put(data), len(data))

        def settle(tx: Tx) -> None:
            leases.renew(tx, lease)
            now = self._ws.clock.now()
            for path, (digest, size) in kept.items():
                artifacts.put(tx, turn.run, path, digest, size, now)
            turns.settle(
                tx,
                turn,
                status,
                found["metrics"],
                now,
                error=error,
                pruned=bool(found["pruned"]),
            )

        self._ws.write(Permission.WORK, settle)

    def _called(self, lease: Lease, family: Family, turn: Turn, log: Path) -> dict[str, Any]:
        """Run the target on the child's params and return what it logged."""
        if family.pipeline:
            wanted = self._wanted(family, turn)
            points = piped(
                self._ws, self._drive, lease, turn.run, family.root, family.target, wanted
            )
            return {"metrics": points, "pruned": False}

        def tell(value: float, step: int) -> bool:
            return self._told(lease, family, turn, value, step)

        payload = {
            "root": family.root,
            "target": family.target,
            "run": turn.run,
            "number": turn.number,
            "params": self._wanted(family, turn),
            "seed": turn.seed,
            "metric": family.metric,
            "experiment": turn.experiment,
        }
        if family.own:
            return self._here(lease, payload, tell)
        with Heard(tell) as heard:
            outcome = calling.call(
                self._ws,
                "function",
                {**payload, "tell": heard.path, "settings": msgspec.to_builtins(self._settings)},
                lease,
                root=family.root,
                log=log,
                # What it tracks itself is kept here, whatever the environment names.
                env={"MAINSPRING_HOME": str(self._ws.home), "MAINSPRING_URL": ""},
            )
        if heard.error is not None:
            raise heard.error
        if not outcome.ok:
            failure = calling.as_error(outcome)
            if isinstance(failure, StepFailedError) and not failure.trace:
                failure.trace = outcome.trace
            raise failure
        found: dict[str, Any] = outcome.value
        return found

    def _here(self, lease: Lease, payload: dict[str, Any], tell: Any) -> dict[str, Any]:
        """Call a function that only this process has."""
        function = OWN.get(str(lease.task.payload["run"]))
        if function is None:
            raise StepFailedError(
                "Only the process that started it has its function.",
                hint="Hand the function in again, with resume= and the run's id.",
            )
        if payload["seed"] is not None:
            child.set_seeds(payload["seed"])
        return child.call(function, payload, self._settings, tell)

    def _wanted(self, family: Family, turn: Turn) -> dict[str, Any]:
        """Return the params that the target is called with: a seed only if it asks for one."""
        names = family.names
        return {key: value for key, value in turn.params.items() if key != "seed" or key in names}

    def _told(self, lease: Lease, family: Family, turn: Turn, value: float, step: int) -> bool:
        """Keep a report, and return whether to prune the trial."""
        parent = str(lease.task.payload["run"])

        def keep(tx: Tx) -> bool:
            leases.renew(tx, lease)
            run = runs.get(tx, turn.run)
            runs.log(tx, turn.run, {family.metric: value}, step, at=self._ws.clock.now())
            notes = study.reported(families.notes_of(run), value, step)
            turns.keep_notes(tx, turn.run, notes)
            if family.pruner == "none":
                return False
            verdict, attrs = study.judge(family, families.members(tx, parent), turn.number)
            if attrs != notes.attrs:
                turns.keep_notes(tx, turn.run, msgspec.structs.replace(notes, attrs=attrs))
            return verdict

        return self._ws.write(Permission.WORK, keep)

    def _check(self, family: Family, turn: Turn, found: dict[str, Any]) -> None:
        """Refuse a trial that ended well but without the metric that is tuned."""
        if family.kind != "tune" or found["pruned"]:
            return
        logged = [str(point[0]) for point in found["metrics"]]
        if family.metric in logged:
            return
        run = self._ws.read(Permission.WORK, lambda tx: runs.get(tx, turn.run))
        if family.metric not in run.metrics:
            told = ", ".join(dict.fromkeys([*logged, *run.metrics])) or "nothing"
            raise StepFailedError(
                f"The trial has no metric {family.metric!r}; it logged {told}.",
                hint=f"Return it: a number, or {{{family.metric!r}: number}}.",
            )


def handlers(ws: Workspace, drive: Drive) -> dict[str, Handler]:
    """Return the handlers of repeats and tunings."""
    lanes = Lanes(ws, drive)
    return {LANE: lanes.lane, OWN_LANE: lanes.lane, END: lanes.end}
