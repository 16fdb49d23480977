"""A real engine process to be killed: ``crash_worker.py URL LEASE_S [GATE]``.

It works until nothing is left. With GATE, a handler says that it began by making GATE.begun
and waits for GATE before it ends.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, insert

from mainspring.backends.sql import open_store
from mainspring.engine import reactor, tasks
from mainspring.engine.tables import METADATA
from mainspring.engine.tasks import Lease, NewTask
from mainspring.engine.worker import Done, Engine
from mainspring.ground.clock import SystemClock
from mainspring.ground.objects import Decision
from mainspring.ground.ports import Tx

EFFECTS = MetaData()
effects = Table(
    "effects",
    EFFECTS,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("task", String, nullable=False),
)


def main(url: str, lease_s: float, gate: Path | None) -> None:
    clock = SystemClock()
    store = open_store(url, [METADATA, EFFECTS], clock)

    def note(tx: Tx, what: str) -> None:
        tx.run(insert(effects).values(task=what))

    def work(lease: Lease) -> Done:
        if gate is not None:
            gate.with_suffix(".begun").touch()
            while not gate.exists():
                time.sleep(0.02)
        name = lease.task.id
        return Done(apply=lambda tx: note(tx, name))

    def decided(tx: Tx, decision: Decision) -> None:
        note(tx, f"{decision.kind} {decision.subject}")

    def found(tx: Tx) -> list[NewTask]:
        return [NewTask(id="scanned", kind="k", max_attempts=99)]

    reacts = reactor.Reactor(decided, lambda *_: None)
    engine = Engine(store, {"k": work}, reacts, clock, [found], workers=2, lease_s=lease_s)

    def over(tx: Tx) -> bool:
        there = tasks.get(tx, "scanned") is not None
        return there and reactor.pending(tx) is None and not tasks.unsettled(tx, clock.now())

    engine.run_until(over)
    store.close()


if __name__ == "__main__":
    given: list[Any] = sys.argv[1:]
    main(given[0], float(given[1]), Path(given[2]) if len(given) > 2 else None)
