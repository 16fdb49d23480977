"""Wire an engine to every room, and drive a run with one of our own."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from mainspring.engine import freezes
from mainspring.engine.reactor import Reactor
from mainspring.engine.worker import Engine, Scan, Settled
from mainspring.experiments import families, runs
from mainspring.ground import structs
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, StepRecord
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.readiness import decisions
from mainspring.workspace import handlers, running
from mainspring.workspace.families import kinds
from mainspring.workspace.opening import Workspace

if TYPE_CHECKING:
    from mainspring.workspace.families.summary import Progress

LOOKING = 20  #: of so many seconds one is spent on looking how far the steps are
#: What takes long and is the user's: left to the slots, so that loops never wait for it.
SLOTTED = (kinds.LANE, kinds.END, kinds.ENTRY, kinds.ENTRY_END)


def make_engine(
    ws: Workspace,
    name: str,
    *,
    scanning: bool = True,
    workers: int | None = None,
    only: Collection[str] | None = None,
    leaves: Collection[str] = (),
) -> Engine:
    """Return an engine wired to every room. ``scanning`` False: it only does what is there.

    ``only`` are the only kinds of task it takes, ``leaves`` those it leaves to others.
    """
    own = ws.acting_as(service(name))
    scans, settled = _scans(own) if scanning else ([], None)
    table, opens = handlers.table(own, drive_until, lazily=not scanning and only is None)
    structs.prepare()  # the handlers are imported by now
    return Engine(
        ws.store,
        table,
        Reactor(decisions.record, _end_alarm, freezes.until),
        ws.clock,
        scans,
        name=f"{name}:{os.getpid()}:{new_id('w')[-6:]}",
        workers=workers or ws.settings.workers,
        lease_s=ws.settings.lease_s,
        settled=settled,
        kinds=only,
        leaves=leaves,
        opens=opens,
    )


def _scans(ws: Workspace) -> tuple[list[Scan], Settled]:
    from mainspring.workspace.scans import Scans

    scans = Scans(ws)
    return [scans.all], scans.settled


def settle(ws: Workspace, group: str) -> None:
    """Carry out a group of tasks in this process, with whatever engine helps, to its end."""
    make_engine(ws, "worker", scanning=False).run_group(group)


def drive_until(ws: Workspace, run: str, stop: threading.Event) -> None:
    """Carry out a pipeline's run in this process, until its end or until ``stop`` is set."""
    make_engine(ws, "worker", scanning=False).run_group(run, stop)


@contextlib.contextmanager
def driving(engine: Engine, group: str) -> Iterator[threading.Event]:
    """Work on a group beside a block, and yield what is set when nothing is left to do.

    Leaving the block stops the work and waits for it. It waits for an event, for before Python
    3.13 a Ctrl-C in ``Thread.join`` marks a thread that still works as ended.
    """
    stop, ended = threading.Event(), threading.Event()

    def work() -> None:
        try:
            engine.run_group(group, stop)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="drive")
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        ended.wait()
        thread.join()


def drive_family(
    ws: Workspace,
    run: str,
    on_change: Callable[[Progress], None] | None = None,
    poll_s: float = 0.1,
) -> Progress:
    """Carry out a repeat or a tuning in this process and return what came of it."""
    from mainspring.workspace.families import summary

    family = ws.read(Permission.READ, lambda tx: families.family_of(runs.get(tx, run)))
    engine = make_engine(ws, "worker", scanning=False, workers=family.parallel)
    seen = -1
    with driving(engine, run) as ended:
        while not ended.is_set():
            if on_change is not None and (now := ws.store.changed()) != seen:
                seen = now
                on_change(ws.read(Permission.READ, lambda tx: summary.progress(tx, run)))
            ended.wait(poll_s)
    return ws.read(Permission.READ, lambda tx: summary.progress(tx, run))


def _end_alarm(tx: Tx, alarm: str, outcome: str, decision: str | None) -> bool:
    return alarms.end(tx, alarm, outcome, decision or "")


def drive(
    ws: Workspace,
    run: str,
    on_change: Callable[[Run, list[StepRecord]], None] | None = None,
    poll_s: float = 0.05,
) -> Run:
    """Carry out a run in this process (with whatever engine helps) and return how it ended.

    ``on_change`` is told the run and its steps whenever one of them moved.
    """
    engine = make_engine(ws, "worker", scanning=False)
    told: list[StepRecord] = []
    seen: int | None = None
    pause_s = poll_s
    with driving(engine, run) as ended:
        while not ended.wait(pause_s if on_change is not None else None):
            if on_change is not None and (moved := ws.store.changed()) != seen:
                seen, began = moved, time.thread_time()
                now, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
                if steps != told:
                    on_change(now, steps)
                told = steps
                # A look at thousands of steps takes long: it must not slow down their work.
                pause_s = max(poll_s, LOOKING * (time.thread_time() - began))
    now, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    if on_change is not None and steps != told:
        on_change(now, steps)
    return now
