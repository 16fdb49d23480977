"""The database on a server: PostgreSQL, every write serialisable and durable.

Writes run side by side with those of other processes and are checked by the database for
being as if one after another (SERIALIZABLE). A write that collides runs again, and then
alone: it locks one small table that every other writer holds in the weak mode. The lock is
taken before the transaction's snapshot, so the second attempt sees all that went before.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mainspring.backends.sql.server import PATIENCE_S, Server, is_lost
from mainspring.backends.sql.tx import AgainError, LostError, SqlTx
from mainspring.ground.clock import Clock
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    StorageFullError,
    StoreError,
    UnavailableError,
)
from mainspring.ground.permissions import Principal

SCHEMA_LOCK = 7_750_001  #: advisory lock under which the schema is laid out; any number of ours
_COLLIDED = {"40001", "40P01"}  # serialization failure, deadlock

# Each write leaves a mark, by which a commit without an answer is known again. No index: it is
# looked up only then, and an index would make writers collide that have nothing in common.
_MARKS = (
    "CREATE TABLE IF NOT EXISTS write_marks"
    " (mark text NOT NULL, at timestamptz NOT NULL DEFAULT now())"
)
_SWEEP = "DELETE FROM write_marks WHERE at < now() - interval '1 hour'"
_LAID_OUT = "SELECT 1 WHERE to_regclass('schema_version') IS NOT NULL"
SWEEP_EVERY = 1000  #: writes


class PostgresMachine:
    """What is PostgreSQL's own inside a transaction."""

    dialect = "postgresql"
    boot = ""

    def __init__(self, optimistic: bool) -> None:
        self.optimistic = optimistic  #: whether another writer may be at work beside us

    def lease_now(self, connection: Connection) -> float:
        """Return the server's clock, in seconds."""
        query = "SELECT extract(epoch from clock_timestamp())::float8"
        return float(connection.exec_driver_sql(query).scalar_one())

    def explain(self, error: DBAPIError) -> Exception:
        """Return the error of ours that a driver's error stands for, or itself."""
        cause = error.orig
        state = getattr(cause, "sqlstate", None) or ""
        refused = state.startswith("23") or state == "P0001"
        if is_lost(error):
            return LostError(str(cause))
        # Two that both add row 8 after seeing row 7 collide on the key, not on the snapshot.
        if state in _COLLIDED or (refused and self.optimistic):
            return AgainError(str(cause))
        if refused:
            return ConflictError(f"The database refused this: {cause}")
        if state == "25006":
            return StoreError("A read must not change anything.")
        return _trouble(error, state)


def _trouble(error: DBAPIError, state: str) -> Exception:
    if state.startswith("22") or type(error.orig).__name__ == "DataError":
        return BadInputError(f"The database cannot hold a value: {error.orig}")
    if state == "53100":
        return StorageFullError(f"The database has no room left: {error.orig}")
    if state[:2] in {"53", "57", "58", "XX"}:  # no room, stopped, disk, internal
        return StoreError(f"The database failed: {error.orig}")
    return error


class PostgresSession:
    """The one writing connection of this process; see ``groups.Session``."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._machine = PostgresMachine(optimistic=True)
        self._connection: Connection | None = server.connect()
        self._open = False  # a transaction is open, as far as we know
        self._committed = False
        self._writes = 0

    @property
    def connection(self) -> Connection:
        """The connection, made anew if the server went away."""
        if self._connection is None:
            self._connection = self._server.connect()
        return self._connection

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Writers of several processes work side by side; nothing to wait for."""
        yield

    def begin(self, alone: bool) -> None:
        """Begin a transaction; ``alone``: with no other writer beside it."""
        self._committed = False
        self._machine.optimistic = not alone
        mode = "EXCLUSIVE" if alone else "ROW SHARE"
        # LOCK TABLE is allowed before the snapshot is taken; a SELECT would take it.
        begin = f"BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE schema_version IN {mode} MODE"
        for attempt in range(2):
            try:
                self.connection.exec_driver_sql(begin)
            except DBAPIError as error:
                explained = self._machine.explain(error)
                self._forget()
                if attempt or not isinstance(explained, LostError):
                    raise explained from error
            else:
                self._open = True
                return

    def tx(self, who: Principal) -> SqlTx:
        """Return the transaction's face for one work."""
        return SqlTx(self.connection, self._machine, who, self._clock)

    def mark(self) -> None:
        """Set a savepoint."""
        self._do("SAVEPOINT work")

    def keep_mark(self) -> None:
        """Keep what was done since the savepoint."""
        self._do("RELEASE SAVEPOINT work")

    def undo_mark(self) -> None:
        """Undo what was done since the savepoint."""
        self._do("ROLLBACK TO SAVEPOINT work; RELEASE SAVEPOINT work")

    def commit(self) -> None:
        """Make the transaction durable, and know whether it is when the answer was lost."""
        mark = uuid.uuid4().hex
        number = self._do(
            f"INSERT INTO write_marks (mark) SELECT '{mark}'"
            " WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
            " RETURNING pg_current_xact_id()::text"
        )
        try:
            self.connection.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            explained = self._machine.explain(error)
            if isinstance(explained, LostError):
                self._forget()
                if number is not None and not self._was_committed(number, mark):
                    raise explained from error
            else:
                raise explained from error
        self._open = False
        self._committed = True
        self._writes += 1
        if self._writes % SWEEP_EVERY == 0:
            with suppress(SQLAlchemyError):  # the next sweep will do
                self.connection.exec_driver_sql(_SWEEP)

    def undo(self) -> bool:
        """Roll back what is open; return False if all had been committed already."""
        if self._committed:
            self._committed = False
            return False
        if self._open:
            self._open = False
            try:
                self.connection.exec_driver_sql("ROLLBACK")
            except SQLAlchemyError:
                self._forget()  # the server rolls back by itself
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._forget()

    def _do(self, statement: str) -> Any:
        try:
            result = self.connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None
        except DBAPIError as error:
            explained = self._machine.explain(error)
            if isinstance(explained, LostError):
                self._forget()
            raise explained from error

    def _forget(self) -> None:
        self._open = False
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _was_committed(self, number: str, mark: str) -> bool:
        """Ask a new connection what became of a transaction whose commit got no answer.

        The number alone would not do: a server that crashed may give it out once more.
        """
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            try:
                connection = self.connection
                # The old session may still be at it, and its mark not yet to be seen.
                status = connection.exec_driver_sql(
                    "SELECT CASE WHEN pg_snapshot_xmax(pg_current_snapshot())"
                    f" > '{int(number)}'::xid8 THEN pg_xact_status('{int(number)}'::xid8) END"
                ).scalar()
                if status != "in progress":
                    found = connection.exec_driver_sql(
                        "SELECT 1 FROM write_marks WHERE mark = %s", (mark,)
                    )
                    return found.first() is not None
            except DBAPIError as error:
                if not is_lost(error):
                    raise self._machine.explain(error) from error
                self._forget()
            time.sleep(0.05)
        raise StoreError("It is not known whether the last write was kept: the server is stuck.")


class Postgres:
    """A PostgreSQL database; see ``store.Database``."""

    dialect = "postgresql"

    def __init__(self, url: str, clock: Clock) -> None:
        self._server = Server(url)
        self._clock = clock
        self.session = PostgresSession(self._server, clock)
        self._machine = PostgresMachine(optimistic=False)
        self._idle: deque[Connection] = deque()
        self._watching = threading.Lock()
        self._watch: Connection | None = None
        self._seen = ""
        self._count = 0

    @property
    def connection(self) -> Connection:
        """The writing connection."""
        return self.session.connection

    @contextmanager
    def preparing(self) -> Iterator[Connection]:
        """Give the writing connection to whoever lays out the schema, other processes out."""
        connection = self.connection
        connection.exec_driver_sql("BEGIN")
        try:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            if connection.exec_driver_sql(_LAID_OUT).first() is not None:
                # Every writer holds it in the weak mode; those of an older release too.
                connection.exec_driver_sql("LOCK TABLE schema_version IN EXCLUSIVE MODE")
            connection.exec_driver_sql(_MARKS)
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            with suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            raise

    def keep_copy(self, version: int) -> None:
        """Copy nothing: one transaction undoes an upgrade, and a server has its own backups."""

    @contextmanager
    def reading(self, who: Principal) -> Iterator[SqlTx]:
        """Give a transaction on one consistent view that cannot change anything."""
        connection = self._idle_or_new()
        tx = SqlTx(connection, self._machine, who, self._clock)
        try:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield tx
            finally:
                if not isinstance(tx.failed, LostError):
                    connection.exec_driver_sql("ROLLBACK")
        except DBAPIError as error:
            self._drop_all(connection)
            raise self._machine.explain(error) from error
        except BaseException:
            if isinstance(tx.failed, LostError):
                self._drop_all(connection)
            else:
                self._idle.append(connection)
            raise
        self._idle.append(connection)

    def changed(self) -> int:
        """Return a count that moves when the set of finished transactions does.

        The text of a snapshot names exactly which transactions are visible; asking for it
        costs the writers nothing, where a counter row would make them wait for each other.
        """
        with self._watching:
            for attempt in range(2):
                try:
                    if self._watch is None:
                        self._watch = self._server.connect()
                    query = "SELECT pg_current_snapshot()::text"
                    seen = str(self._watch.exec_driver_sql(query).scalar_one())
                    break
                except DBAPIError as error:
                    if self._watch is not None:
                        _drop(self._watch)
                        self._watch = None
                    if attempt:
                        raise UnavailableError(f"The database does not answer: {error}") from error
            if seen != self._seen:
                self._seen = seen
                self._count += 1
            return self._count

    def close(self) -> None:
        """Let go of every connection."""
        self._drop_all()
        with self._watching:
            if self._watch is not None:
                _drop(self._watch)
                self._watch = None
        self.session.close()

    def _drop_all(self, *also: Connection) -> None:
        """Let go of the reading connections: where one was cut, the others were too."""
        for connection in also:
            _drop(connection)
        with suppress(IndexError):
            while True:
                _drop(self._idle.pop())

    def _idle_or_new(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._server.connect()


def _drop(connection: Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.invalidate()
        connection.close()
