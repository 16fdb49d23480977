"""Open the store behind a URL."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from mainspring.backends.sql import schema
from mainspring.backends.sql.schema import Found, Guard, Step
from mainspring.backends.sql.store import SqlStore
from mainspring.backends.sql.tx import AgainError
from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError, ConflictError, StoreError
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import owner

if TYPE_CHECKING:
    from mainspring.backends.sql.postgres import Postgres
    from mainspring.backends.sql.sqlite import Sqlite

__all__ = ["Guard", "Step", "open_store"]

ATTEMPTS = 5  #: of an upgrade that readers of a PostgreSQL table stand in the way of
_log = logging.getLogger("mainspring.store")


def open_store(
    url: str,
    metadata: Sequence[MetaData],
    clock: Clock,
    guards: Sequence[Guard] = (),
    steps: Sequence[Step] = (),
) -> SqlStore:
    """Open the store at ``sqlite:///path`` or ``postgresql://...``; create what is missing.

    A database of an older release is upgraded first, in one transaction with every other
    process held off; a SQLite file is copied aside before that. Several processes may open
    the same store at once. ``clock`` dates the audit log.

    Raises:
        BadInputError: for any other URL.
        StoreError: if a newer release made the database, it is damaged or cannot be upgraded,
            or the disk refuses.
        UnavailableError: if the database server does not answer.
    """
    parts, all_guards = schema.all_parts(metadata, guards)
    layout = schema.layout_of(parts, all_guards)
    database: Sqlite | Postgres
    if url.startswith("sqlite:///"):
        from mainspring.backends.sql.sqlite import Sqlite

        database = Sqlite(_path(url), clock)
    elif url.startswith(("postgresql://", "postgres://")):
        from mainspring.backends.sql.postgres import Postgres

        database = Postgres(url, clock)
    else:
        raise BadInputError(
            f"database must be sqlite:///PATH or postgresql://..., found {url[:80]!r}.",
            field="database",
        )
    try:
        _make_current(database, layout, parts, all_guards, steps)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def _make_current(
    database: Sqlite | Postgres,
    layout: str,
    parts: Sequence[MetaData],
    guards: Sequence[Guard],
    steps: Sequence[Step],
) -> None:
    current = Found(schema.VERSION, layout)
    for attempt in range(ATTEMPTS):
        if schema.found_in(database.connection, database.dialect) == current:
            return
        try:
            with database.preparing() as connection:
                found = schema.found_in(connection, database.dialect)
                if found == current:  # another process was first
                    return
                told = _upgrade(database, found, parts) if found else ""
                schema.lay_out(connection, database.dialect, parts, guards)
                if found and told:
                    _step_on(database, found, steps, told)
                here("upgrade.changed")
        except AgainError as error:  # nobody is beside us: it would be refused again
            raise ConflictError(f"The upgrade was refused, and undone: {error}") from error
        except DBAPIError as error:
            # Two who wait for each other's tables: the server ends one of them, us.
            if getattr(error.orig, "sqlstate", "") == "40P01" and attempt < ATTEMPTS - 1:
                continue
            raise StoreError(
                f"The database could not be upgraded and stays as it was: {error.orig}"
            ) from error
        if told:
            _log.warning("%s", told)
        return


def _upgrade(database: Sqlite | Postgres, found: Found, parts: Sequence[MetaData]) -> str:
    """Change the tables that are there; return a sentence on it, empty if none had to be."""
    from mainspring.backends.sql import upgrading

    statements = upgrading.changes(database.connection, parts)
    if not statements and found.version == schema.VERSION:
        return ""
    copy = database.keep_copy(found.version)
    here("upgrade.copied")
    for statement in statements:
        if isinstance(statement, str):
            database.connection.exec_driver_sql(statement)
        else:
            database.connection.execute(statement)
        here("upgrade.statement")
    said = f"The database was upgraded from schema {found.version} to {schema.VERSION}"
    if found.version == schema.VERSION:
        said = f"The tables were changed to another layout of schema {schema.VERSION}"
    return f"{said}; as it was before, it is kept in {copy}" if copy else said


def _step_on(database: Sqlite | Postgres, found: Found, steps: Sequence[Step], told: str) -> None:
    """Move the rows that have to move, and leave a line in the audit log."""
    tx = database.session.tx(owner())
    due = [Step(*one) for one in steps if found.version < one[0] <= schema.VERSION]
    for step in sorted(due, key=lambda one: one.version):
        step.work(tx)
        here("upgrade.step")
    detail: dict[str, Any] = {"from": found.version, "to": schema.VERSION}
    tx.audit("schema.upgrade", "store", detail | {"steps": [s.name for s in due]}, told)


def _path(url: str) -> Path:
    text = url.removeprefix("sqlite:///").partition("?")[0]
    if not text or text == ":memory:":
        raise BadInputError("A database in memory keeps nothing; name a file.", field="database")
    return Path(text).resolve()
