"""An engine's store on both databases, and short ways to ask it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from mainspring.backends.sql import SqlStore, open_store
from mainspring.engine import freezes, leases, tasks
from mainspring.engine.reactor import Reactor
from mainspring.engine.tables import METADATA
from mainspring.engine.tables import tasks as table
from mainspring.engine.tasks import Lease, NewTask, Task
from mainspring.engine.worker import WHO, Done, Engine, Handler
from mainspring.ground.clock import TurnedClock
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx

T = TypeVar("T")
LEASE_S = 600.0  #: what no test waits for: those whose leases run out turn them back
EFFECTS = MetaData()
effects = Table(
    "effects",
    EFFECTS,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("task", String, nullable=False),
)


class Home:
    """A store, a clock to turn, and what the loop decided."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = TurnedClock(1_700_000_000.0)
        self.decisions: list[Any] = []
        self.ended: list[tuple[str, str, str | None]] = []
        self.reactor = Reactor(
            lambda _, decision: self.decisions.append(decision),
            lambda _, *ended: self.ended.append(ended),
            freezes.until,
        )

    def write(self, work: Callable[[Tx], T]) -> T:
        return self.store.write(WHO, Permission.WORK, work)

    def read(self, work: Callable[[Tx], T]) -> T:
        return self.store.read(WHO, Permission.WORK, work)

    def submit(self, *new: NewTask) -> int:
        return self.write(lambda tx: tasks.submit(tx, new))

    def claim(self, owner: str = "w", **more: Any) -> Lease | None:
        now = self.clock.now()
        return self.write(lambda tx: leases.claim(tx, owner, LEASE_S, now, **more))

    def finish(self, lease: Lease) -> None:
        self.write(lambda tx: leases.finish(tx, lease, {}, self.clock.now()))

    def fail(self, lease: Lease, *, retry: bool = False) -> str:
        now = self.clock.now()
        return self.write(lambda tx: leases.fail(tx, lease, "broken", retry=retry, now=now))

    def get(self, task: str) -> Task:
        found = self.read(lambda tx: tasks.get(tx, task))
        assert found is not None
        return found

    def state(self, task: str) -> str:
        return self.get(task).state

    def effect(self, lease: Lease) -> Done:
        """Do what a handler does: one row for one task."""
        row = insert(effects).values(task=lease.task.id)
        return Done(apply=lambda tx: tx.run(row) and None)

    def effects(self) -> int:
        row = self.read(lambda tx: tx.one(select(func.count().label("n")).select_from(effects)))
        assert row is not None
        return int(row.n)

    def let_leases_run_out(self) -> None:
        """Make every lease one that began and ended in the past."""
        old = table.c.lease_until - 1_000_000.0
        query = update(table).where(table.c.state == "leased").values(lease_until=old)
        self.write(lambda tx: tx.run(query))

    def engine(self, handlers: dict[str, Handler], *scans: Any, **more: Any) -> Engine:
        return Engine(
            self.store, handlers, self.reactor, self.clock, scans, **{"lease_s": LEASE_S, **more}
        )


@pytest.fixture(scope="session")
def engine_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """One PostgreSQL database for all these tests: making one takes longer than most of them."""
    return functools.cache(
        lambda: request.getfixturevalue("postgres_server").create(f"engine{os.getpid()}")
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_url(
    request: pytest.FixtureRequest, tmp_path: Path, engine_database: Callable[[], str]
) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/home/test.db"
    return engine_database()


@pytest.fixture
def home(engine_url: str) -> Iterator[Home]:
    store = open_store(engine_url, [METADATA, EFFECTS], TurnedClock(1e9))
    home = Home(store)
    if engine_url.startswith("postgresql"):
        tables = [*METADATA.sorted_tables, *EFFECTS.sorted_tables]
        home.write(lambda tx: [tx.run(delete(table)) for table in tables])
    yield home
    store.close()
