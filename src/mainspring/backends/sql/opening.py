"""Open the store behind a URL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData

from mainspring.backends.sql import schema
from mainspring.backends.sql.schema import Guard
from mainspring.backends.sql.store import SqlStore
from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from mainspring.backends.sql.postgres import Postgres
    from mainspring.backends.sql.sqlite import Sqlite

__all__ = ["Guard", "open_store"]


def open_store(
    url: str, metadata: Sequence[MetaData], clock: Clock, guards: Sequence[Guard] = ()
) -> SqlStore:
    """Open the store at ``sqlite:///path`` or ``postgresql://...``; create what is missing.

    Several processes may open the same store at once. ``clock`` dates the audit log.

    Raises:
        BadInputError: for any other URL.
        StoreError: if a newer release made the database, or the disk refuses.
        UnavailableError: if the database server does not answer.
    """
    parts, all_guards = schema.all_parts(metadata, guards)
    layout = schema.layout_of(parts, all_guards)
    database: Sqlite | Postgres
    if url.startswith("sqlite:///"):
        from mainspring.backends.sql.sqlite import Sqlite

        database, dialect = Sqlite(_path(url), clock), "sqlite"
    elif url.startswith(("postgresql://", "postgres://")):
        from mainspring.backends.sql.postgres import Postgres

        database, dialect = Postgres(url, clock), "postgresql"
    else:
        raise BadInputError(
            f"database must be sqlite:///PATH or postgresql://..., found {url[:80]!r}.",
            field="database",
        )
    try:
        if not schema.is_current(database.connection, dialect, layout):
            with database.preparing() as connection:
                if not schema.is_current(connection, dialect, layout):  # another process was first
                    schema.lay_out(connection, dialect, parts, all_guards)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def _path(url: str) -> Path:
    text = url.removeprefix("sqlite:///").partition("?")[0]
    if not text or text == ":memory:":
        raise BadInputError("A database in memory keeps nothing; name a file.", field="database")
    return Path(text).resolve()
