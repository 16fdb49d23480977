"""The store itself: who may ask, one view to read, one line to write."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from mainspring.backends.sql.groups import Session, Writers
from mainspring.backends.sql.tx import LostError, SqlTx
from mainspring.ground.errors import StoreError, UnavailableError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.ground.ports import Tx

T = TypeVar("T")
READS = 3  #: attempts of a read whose server went away under it


class Database(Protocol):
    """One of our databases, as far as the store needs to know it."""

    @property
    def session(self) -> Session:
        """The one writing connection of this process."""
        ...

    def reading(self, who: Principal) -> AbstractContextManager[SqlTx]:
        """Give a transaction on one consistent view that cannot change anything."""
        ...

    def changed(self) -> int:
        """Return a number that differs after any process committed a write."""
        ...

    def close(self) -> None:
        """Let go of every connection."""
        ...


class SqlStore:
    """A :class:`mainspring.ground.ports.Store` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writers = Writers(database.session)
        self._inside = threading.local()
        self._process = os.getpid()
        self._open = True

    def read(self, who: Principal, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` on one consistent view of the data; it must not change anything."""
        authorise(who, permission)
        with self._alone_here():
            for _ in range(READS):
                try:
                    with self._database.reading(who) as tx:
                        return work(tx)
                except LostError as error:
                    lost = error
            raise UnavailableError(
                f"The database went away {READS} times in one read: {lost}"
            ) from lost

    def write(self, who: Principal, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one durable transaction and return its result.

        An exception raised by ``work`` undoes all of it and is raised here.
        """
        authorise(who, permission)

        def guarded(tx: Tx) -> T:  # it may run in another thread: the leader's
            with self._alone_here():
                return work(tx)

        if getattr(self._inside, "work", False):
            raise _nested()
        self._check_open()
        result: T = self._writers.submit(who, guarded)
        return result

    def changed(self) -> int:
        """Return a number that differs after anybody, in any process, committed a write."""
        self._check_open()
        return self._database.changed()

    def close(self) -> None:
        """Let go of every connection."""
        if self._open:
            self._open = False
            self._database.close()

    @contextmanager
    def _alone_here(self) -> Iterator[None]:
        """Refuse a transaction inside a transaction: it would see other data, or wait forever."""
        if getattr(self._inside, "work", False):
            raise _nested()
        self._check_open()
        self._inside.work = True
        try:
            yield
        finally:
            self._inside.work = False

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("The store is closed.")
        if os.getpid() != self._process:
            raise StoreError("A forked process has to open its own store.")


def _nested() -> StoreError:
    return StoreError("A work may only talk to its own transaction, not ask the store again.")
