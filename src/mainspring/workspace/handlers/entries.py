"""Carry out the queue: each entry is a run, done by one worker at a time."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import leases
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import artifacts, families, runs
from mainspring.ground.errors import MainspringError, StepFailedError, UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Outcome, Tx
from mainspring.workspace import calling
from mainspring.workspace.families.kinds import ENTRY, ENTRY_END
from mainspring.workspace.handlers.lanes import LOG, TRACE
from mainspring.workspace.handlers.piping import Drive, piped
from mainspring.workspace.tracking.catching_up import catch_up
from mainspring.workspace.tracking.joining import Introduction

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

CODE, ATTEMPT = "mainspring.exit_code", "mainspring.attempt"


class _Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How an entry ended, before it is written down."""

    status: RunStatus = RunStatus.FINISHED
    error: str = ""
    trace: str = ""
    code: int | None = None
    points: list[list[Any]] = []


class Entries:
    """Carries out what the queue's tasks ask for."""

    def __init__(self, ws: Workspace, drive: Drive) -> None:
        self._ws = ws
        self._drive = drive
        self._settings = msgspec.structs.replace(ws.settings, url=None, token=None)

    def entry(self, lease: Lease) -> Done:
        """Run a command, a function or a pipeline, and end the entry's run as it ended."""
        asked = lease.task.payload
        run, place = str(asked["run"]), self._place(str(asked["run"]))

        def start(tx: Tx) -> RunStatus:
            leases.renew(tx, lease)
            runs.set_tags(tx, run, {ATTEMPT: str(lease.attempt)})
            return runs.get(tx, run).status

        if self._ws.write(Permission.WORK, start) is not RunStatus.RUNNING:
            return Done()  # somebody ended it by hand
        here("entry.started")
        log = place.with_suffix(".log")
        ended = self._carried_out(lease, asked, place, log)
        if lease.cancelled():
            return self._cancelled(lease, run, log)
        here("entry.ran")
        catch_up(self._ws)
        kept = self._kept(log, ended.trace)

        def apply(tx: Tx) -> None:
            if runs.get(tx, run).status is RunStatus.RUNNING:
                self._keep(tx, run, ended, kept)

        return Done(result={"status": str(ended.status)}, apply=apply)

    def _carried_out(self, lease: Lease, asked: dict[str, Any], place: Path, log: Path) -> _Ended:
        """Run what is asked for, and return how it ended."""
        try:
            if asked.get("command"):
                code = self._commanded(lease, asked, place, log)
                status = RunStatus.FAILED if code else RunStatus.FINISHED
                return _Ended(status=status, error=_words(code) if code else "", code=code)
            return _Ended(points=self._called(lease, asked, log))
        except UnavailableError as failure:
            if not lease.cancelled():
                raise  # its process was killed from outside: another try may do better
            return _Ended(status=RunStatus.FAILED, error=str(failure))
        except MainspringError as failure:
            trace = getattr(failure, "trace", "")
            return _Ended(status=RunStatus.FAILED, error=str(failure), trace=trace)

    def _keep(self, tx: Tx, run: str, ended: _Ended, kept: dict[str, tuple[str, int]]) -> None:
        now = self._ws.clock.now()
        for path, (digest, size) in kept.items():
            artifacts.put(tx, run, path, digest, size, now)
        if ended.points:
            runs.log_gathered(tx, run, ended.points)
        if ended.code is not None:
            runs.set_tags(tx, run, {CODE: str(ended.code)})
        if ended.error:
            runs.set_tags(tx, run, {families.ERROR: ended.error[:2_000]})
        runs.end(tx, run, ended.status, now)

    def end(self, lease: Lease) -> Done:
        """End the run of an entry that no worker could end: it was cancelled, or all died."""
        run = str(lease.task.payload["run"])
        now = self._ws.clock.now()

        def apply(tx: Tx) -> None:
            found = runs.get(tx, run)
            if found.status is RunStatus.RUNNING:
                stopped = "mainspring.cancelled" in found.tags
                runs.end(tx, run, RunStatus.CANCELLED if stopped else RunStatus.CRASHED, now)

        self._forget(run)
        return Done(apply=apply)

    def _commanded(self, lease: Lease, asked: dict[str, Any], place: Path, log: Path) -> int:
        outcome = calling.call(
            self._ws,
            "command",
            {"command": asked["command"], "folder": asked["folder"], "place": str(place)},
            lease,
            log=log,
            env=self._env(asked),
        )
        return int(_value(outcome)["code"])

    def _called(self, lease: Lease, asked: dict[str, Any], log: Path) -> list[list[Any]]:
        run, root, target = str(asked["run"]), str(asked["root"]), str(asked["target"])
        if asked["pipeline"]:
            return piped(self._ws, self._drive, lease, run, root, target, asked["params"])
        payload = {
            "root": root,
            "target": target,
            "run": run,
            "number": 0,
            "params": asked["params"],
            "metric": "",
            "experiment": asked["experiment"],
            "settings": msgspec.to_builtins(self._settings),
            "tell": "",
        }
        outcome = calling.call(
            self._ws, "function", payload, lease, root=root, log=log, env=self._env(asked)
        )
        points: list[list[Any]] = _value(outcome)["metrics"]
        return points

    def _cancelled(self, lease: Lease, run: str, log: Path) -> Done:
        """End a run that was cancelled; leave one whose worker only ends, or lost it, alone."""
        kept = self._kept(log, "")

        def work(tx: Tx) -> None:
            if not leases.renew(tx, lease):  # nobody asked for it: it will be done again
                return
            for path, (digest, size) in kept.items():
                artifacts.put(tx, run, path, digest, size, self._ws.clock.now())
            runs.end(tx, run, RunStatus.CANCELLED, self._ws.clock.now())

        self._ws.write(Permission.WORK, work)
        raise StepFailedError("It was cancelled.")

    def _kept(self, log: Path, trace: str) -> dict[str, tuple[str, int]]:
        """Keep what it wrote, and return digest and size by path."""
        found = {}
        if log.exists() and log.stat().st_size:
            found[LOG] = (self._ws.objects.put_file(log), log.stat().st_size)
        if trace:
            data = trace.encode("utf-8", "replace")
            found[TRACE] = (self._ws.objects.put(data), len(data))
        return found

    def _place(self, run: str) -> Path:
        """Return where an entry's lock, log and exit code are, but for their endings."""
        return place_of(self._ws.home, run)

    def _forget(self, run: str) -> None:
        for ending in (".lock", ".code", ".log"):
            self._place(run).with_suffix(ending).unlink(missing_ok=True)

    def _env(self, asked: dict[str, Any]) -> dict[str, str]:
        """Return what lets ``ms.log`` there mean the entry's run, and ``ms.run`` a child of it."""
        run = str(asked["run"])
        told = Introduction(
            run=run,
            experiment=str(asked["experiment"]),
            name=str(asked["name"]),
            started=float(asked["added"]),
            parent=None,
        )
        # What it tracks is kept here, whatever the worker's own environment names.
        return {
            "MAINSPRING_RUN": run,
            "MAINSPRING_JOIN": msgspec.json.encode(told).decode(),
            "MAINSPRING_HOME": str(self._ws.home),
            "MAINSPRING_URL": "",
        }


def place_of(home: Path, run: str) -> Path:
    """Return where the files of an entry are while it is worked on, but for their endings."""
    folder = home / "run" / "entries"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / run


def handlers(ws: Workspace, drive: Drive) -> dict[str, Handler]:
    """Return the handlers of the queue."""
    entries = Entries(ws, drive)
    return {ENTRY: entries.entry, ENTRY_END: entries.end}


def _value(outcome: Outcome) -> dict[str, Any]:
    if not outcome.ok:
        failure = calling.as_error(outcome)
        if isinstance(failure, StepFailedError) and not failure.trace:
            failure.trace = outcome.trace
        raise failure
    value: dict[str, Any] = outcome.value
    return value


def _words(code: int) -> str:
    if code < 0:
        return f"It was ended by {signal.Signals(-code).name}."
    return f"It ended with exit code {code}."
