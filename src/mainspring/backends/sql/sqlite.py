"""The database in one file: SQLite with a write-ahead log, every commit flushed to disk."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from mainspring.backends.sql.lock import FairLock
from mainspring.backends.sql.tx import AgainError, SqlTx
from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError, ConflictError, StorageFullError, StoreError
from mainspring.ground.permissions import Principal

BUSY_MS = 30_000  #: slow disks stall a checkpoint for seconds; our own lock queues before this
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SqliteMachine:
    """What is SQLite's own inside a transaction."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
        # Time asleep counts too: a laptop that wakes up must not find its leases fresh.
        self._clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def lease_now(self, _: Connection) -> float:
        """Return seconds since the machine's boot."""
        return time.clock_gettime(self._clock)

    def explain(self, error: DBAPIError) -> Exception:
        """Return the error of ours that a driver's error stands for, or itself."""
        cause = error.orig
        if isinstance(error, IntegrityError):
            return ConflictError(f"The database refused this: {cause}")
        if isinstance(cause, sqlite3.DatabaseError):
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_READONLY:
                return StoreError("A read must not change anything.")
            if code == sqlite3.SQLITE_FULL:
                return StorageFullError(f"The database has no room left: {cause}")
            if code in _BROKEN:
                return StoreError(f"The database failed: {cause}")
        if isinstance(cause, sqlite3.DataError):
            return BadInputError(f"The database cannot hold a value: {cause}")
        return error


_BROKEN = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}


class SqliteSession:
    """The one writing connection of this process; see ``groups.Session``."""

    def __init__(
        self, connection: Connection, lock: FairLock, machine: SqliteMachine, clock: Clock
    ) -> None:
        self._connection = connection
        self._driver = driver(connection)
        self._lock = lock
        self._machine = machine
        self._clock = clock
        self._alone = False
        self._began = False
        self._stopped = ""  # why nothing is written any more

    def turn(self) -> AbstractContextManager[None]:
        """Wait until this process may write."""
        if self._stopped:
            raise StoreError(self._stopped, hint="Repair the disk, then start again.")
        return self._lock

    def begin(self, alone: bool) -> None:
        """Begin a transaction; the lock keeps every other writer out in any case."""
        self._alone = alone
        # IMMEDIATE, or two works could both read before either writes.
        self._do("BEGIN IMMEDIATE")
        self._began = True

    def tx(self, who: Principal) -> SqlTx:
        """Return the transaction's face for one work."""
        return SqlTx(self._connection, self._machine, who, self._clock)

    def mark(self) -> None:
        """Set a savepoint."""
        self._do("SAVEPOINT work")

    def keep_mark(self) -> None:
        """Keep what was done since the savepoint."""
        if not self._driver.in_transaction:
            raise AgainError("the database rolled the transaction back by itself")
        self._do("RELEASE work")

    def undo_mark(self) -> None:
        """Undo what was done since the savepoint."""
        if not self._driver.in_transaction:  # a full disk undoes everything, not one statement
            raise AgainError("the database rolled the transaction back by itself")
        self._do("ROLLBACK TO work")
        self._do("RELEASE work")

    def commit(self) -> None:
        """Make the transaction durable."""
        try:
            self._driver.execute("COMMIT")
        except sqlite3.IntegrityError as error:  # a constraint that waits for the end
            if self._alone:
                raise ConflictError(f"The database refused this: {error}") from error
            raise AgainError(str(error)) from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
                # After a failed fsync the kernel may call lost pages clean: trust nothing.
                self._stopped = f"The disk failed at a commit ({error}); writing has stopped."
                raise StoreError(self._stopped) from error
            raise StoreError(f"The database could not commit: {error}") from error
        self._began = False

    def undo(self) -> bool:
        """Roll back what is open; return False if all had been committed already."""
        began, self._began = self._began, False
        if self._driver.in_transaction:
            self._do("ROLLBACK")
            return True
        return not began

    def close(self) -> None:
        """Let go of the connection, in turn: the last one to close folds the log."""
        with self._lock:
            self._connection.close()
        self._lock.close()

    def _do(self, statement: str) -> None:
        try:
            self._driver.execute(statement)
        except sqlite3.Error as error:
            raise StoreError(f"The database failed at {statement}: {error}") from error


class Sqlite:
    """A SQLite file; see ``store.Database``."""

    dialect = "sqlite"

    def __init__(self, path: Path, clock: Clock) -> None:
        make_file(path)
        self._machine = SqliteMachine()
        self._clock = clock
        self._lock = FairLock(path)
        self._writer = _engine(path, "PRAGMA foreign_keys=ON")
        self._reader = _engine(path, "PRAGMA query_only=ON")
        with self._lock:
            self.connection = _connect(self._writer, path)
            _use_log(self.connection, path)
        self.session = SqliteSession(self.connection, self._lock, self._machine, clock)
        self._idle: deque[Connection] = deque()
        self._path = path
        self._watch = _connect(self._reader, path)
        self._watching = threading.Lock()

    @contextmanager
    def preparing(self) -> Iterator[Connection]:
        """Give the writing connection to whoever lays out the schema, other processes out."""
        with self._lock:
            self.session.begin(alone=True)
            try:
                yield self.connection
                self.session.commit()
            finally:
                self.session.undo()

    def keep_copy(self, version: int) -> Path:
        """Copy the file aside before its upgrade from ``version``; the caller has the lock."""
        from mainspring.backends.sql.copying import copy_aside

        return copy_aside(self._path, self._path.with_name(f"{self._path.name}.schema-{version}"))

    @contextmanager
    def reading(self, who: Principal) -> Iterator[SqlTx]:
        """Give a transaction on one consistent view that cannot change anything."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self._reader, self._path)
        try:
            raw = driver(connection)
            raw.execute("BEGIN")
            try:
                yield SqlTx(connection, self._machine, who, self._clock)
            finally:
                raw.execute("ROLLBACK")
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"The database could not be read: {error}") from error
        except BaseException:
            self._idle.append(connection)
            raise
        self._idle.append(connection)

    def changed(self) -> int:
        """Return SQLite's own count of what others than this connection committed."""
        with self._watching:
            return int(driver(self._watch).execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Let go of every connection."""
        while self._idle:
            self._idle.pop().close()
        with self._watching:
            self._watch.close()
        self.session.close()


def driver(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection: transactions are ours to word, not SQLAlchemy's."""
    raw: object = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):  # only a connection closed behind our back
        raise StoreError("The connection to the database is closed.")
    return raw


def make_file(path: Path) -> None:
    """Create the file and its folder for the owner alone, and make the names durable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"The database {path} cannot be created: {error.strerror}.") from error
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _engine(path: Path, *also: str) -> Engine:
    def connect() -> sqlite3.Connection:
        # Autocommit: no BEGIN but ours. Threads share connections, one after another.
        raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (f"PRAGMA busy_timeout={BUSY_MS}", "PRAGMA synchronous=FULL", *also):
            raw.execute(pragma)
        return raw

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _connect(engine: Engine, path: Path) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        raise StoreError(f"{path} cannot be used as a database: {error.orig}.") from error


def _use_log(connection: Connection, path: Path) -> None:
    try:
        mode = driver(connection).execute("PRAGMA journal_mode=WAL").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used as a database: {error}.") from error
    if mode != "wal":
        raise StoreError(
            f"The file system of {path} cannot hold a write-ahead log.",
            hint="Put the home on a local disk.",
        )
