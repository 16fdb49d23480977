"""Wire an engine to every room, and drive a run with one of our own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from mainspring.engine.reactor import Reactor
from mainspring.engine.worker import Engine
from mainspring.ground import structs
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, StepRecord
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.readiness import decisions
from mainspring.workspace import handlers, running
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scans import Scans


def make_engine(ws: Workspace, name: str, *, scanning: bool = True) -> Engine:
    """Return an engine wired to every room. ``scanning`` False: it only does what is there."""
    structs.prepare()  # all handlers are imported by now
    own = ws.acting_as(service(name))
    scans = Scans(own)
    return Engine(
        ws.store,
        handlers.table(own),
        Reactor(decisions.record, _end_alarm),
        ws.clock,
        [scans.all] if scanning else [],
        name=f"{name}:{os.getpid()}:{new_id('w')[-6:]}",
        workers=ws.settings.workers,
        lease_s=ws.settings.lease_s,
        settled=scans.settled if scanning else None,
    )


def settle(ws: Workspace, group: str) -> None:
    """Carry out a group of tasks in this process, with whatever engine helps, to its end."""
    make_engine(ws, "worker", scanning=False).run_group(group)


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
    stop = threading.Event()
    thread = threading.Thread(target=engine.run_group, args=(run, stop), name="drive")
    thread.start()
    told: list[StepRecord] = []
    try:
        while True:
            alive = thread.is_alive()
            now, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
            if on_change is not None and steps != told:
                on_change(now, steps)
            told = steps
            if not alive:
                return now
            thread.join(poll_s)
    finally:
        stop.set()
        thread.join()
