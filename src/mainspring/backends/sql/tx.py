"""One transaction as the rooms see it, on any of our databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from mainspring.backends.sql import audit
from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError, StoreError
from mainspring.ground.permissions import Principal

_OPTIONS = {"preserve_rowcount": True}


class AgainError(Exception):
    """The database undid the transaction by itself; its works have to run again."""


class LostError(AgainError):
    """The connection to the server broke before the commit was sent."""


class Machine(Protocol):
    """What differs between the databases inside a transaction."""

    dialect: str
    boot: str

    def lease_now(self, connection: Connection) -> float:
        """Return seconds on the clock by which leases are kept."""
        ...

    def explain(self, error: DBAPIError) -> Exception:
        """Return the error of ours that a driver's error stands for, or itself."""
        ...


class SqlTx:
    """A :class:`mainspring.ground.ports.Tx` on one connection.

    A statement that failed ends the work on every database: PostgreSQL would refuse all
    further statements, so SQLite is made to do the same, and no room can come to rely on
    catching the error and going on.
    """

    def __init__(
        self, connection: Connection, machine: Machine, who: Principal, clock: Clock
    ) -> None:
        self._connection = connection
        self._machine = machine
        self._who = who
        self._clock = clock
        self.failed: Exception | None = None  #: why no further statement can run

    @property
    def who(self) -> Principal:
        """Who asked for this transaction."""
        return self._who

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._machine.dialect

    @property
    def boot(self) -> str:
        """Return which boot of the machine ``lease_now`` counts in.

        The kernel's boot id on SQLite; empty on PostgreSQL, whose clock outlives a reboot.
        """
        return self._machine.boot

    def all(self, statement: Any, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Return every row of a SELECT (or of a RETURNING)."""
        return self._execute(statement, values).all()

    def one(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any | None:
        """Return the first row, or None."""
        return self._execute(statement, values).first()

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> int:
        """Execute a change, once or for each of ``rows``; return how many rows changed."""
        if rows is None:
            return max(0, self._execute(statement, values).rowcount)
        many = rows if isinstance(rows, list) else list(rows)
        return max(0, self._execute(statement, many).rowcount) if many else 0

    def audit(
        self, action: str, subject: str, detail: Mapping[str, Any], reason: str = ""
    ) -> None:
        """Append one row to the hash-chained audit log, in this same transaction."""
        audit.append(self, self._clock.now(), action, subject, detail, reason)

    def now(self) -> float:
        """Return wall time, UTC seconds."""
        return self._clock.now()

    def lease_now(self) -> float:
        """Return seconds on the clock by which leases are kept; it never goes backwards."""
        with self._explained():
            return self._machine.lease_now(self._connection)

    def _execute(
        self,
        statement: Any,
        values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        with self._explained():
            return self._connection.execute(statement, values, execution_options=_OPTIONS)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the driver's errors into ours, and let nothing run after one."""
        if self.failed is not None:
            raise StoreError(
                f"A statement of this transaction failed before ({self.failed});"
                " nothing more can run in it."
            )
        try:
            yield
        except DBAPIError as error:
            self.failed = self._machine.explain(error)
            raise self.failed from error
        except OverflowError as error:  # SQLite's driver finds it before the database does
            self.failed = BadInputError(f"The database cannot hold a value: {error}")
            raise self.failed from error
