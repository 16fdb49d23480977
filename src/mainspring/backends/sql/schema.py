"""Lay out tables and guards on open, and refuse a database from a newer release.

There is one schema version so far, so nothing has to be upgraded yet; the version is kept
from the first day, so that the first upgrade knows what it finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, inspect
from sqlalchemy.engine import Connection

from mainspring.backends.sql import audit
from mainspring.ground.errors import StoreError
from mainspring.ground.identity import key_of

Guard = tuple[str, Mapping[str, str | Sequence[str]]]
"""A name and, for each dialect, the statements that put a trigger in place."""

VERSION = 1
METADATA = MetaData()
SCHEMA_VERSION = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, nullable=False),
    Column("layout", Text, nullable=False),  # digest of table, column and guard texts
)
_TRIGGER = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?(?:TEMP\w*\s+)?TRIGGER\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\b.*?\bON\s+(\w+)",
    re.IGNORECASE | re.DOTALL,
)


_HAS_VERSION = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('schema_version') IS NOT NULL",
}


def is_current(connection: Connection, dialect: str, layout: str) -> bool:
    """Return whether the database already has exactly this layout.

    Raises:
        StoreError: if a newer release made it.
    """
    if connection.exec_driver_sql(_HAS_VERSION[dialect]).first() is None:
        return False
    row = connection.exec_driver_sql("SELECT version, layout FROM schema_version").first()
    if row is not None and row.version > VERSION:
        raise StoreError(
            f"The database has schema {row.version}, and this release knows only {VERSION}.",
            hint="Use the release that made it, or a newer one.",
        )
    return row is not None and row.layout == layout


def layout_of(metadata: Iterable[MetaData], guards: Sequence[Guard]) -> str:
    """Return a digest that changes with the tables' columns and the guards."""
    tables = sorted(
        [str(table.name), [[str(c.name), str(c.type)] for c in table.columns]]
        for part in metadata
        for table in part.tables.values()
    )
    return key_of(tables, [[name, dict(ddl)] for name, ddl in guards])


def all_parts(
    metadata: Sequence[MetaData], guards: Sequence[Guard]
) -> tuple[list[MetaData], list[Guard]]:
    """Return the rooms' tables and guards with the store's own."""
    return [METADATA, audit.METADATA, *metadata], [*audit.GUARDS, *guards]


def lay_out(
    connection: Connection, dialect: str, metadata: Sequence[MetaData], guards: Sequence[Guard]
) -> None:
    """Create what is missing and note the version; the caller holds every other process off."""
    for part in metadata:
        part.create_all(connection, checkfirst=True)
    _check_columns(connection, metadata)
    for _, ddl in guards:
        statements = ddl.get(dialect, ())
        for statement in [statements] if isinstance(statements, str) else statements:
            if found := _TRIGGER.match(statement):  # an older text of it may stand there
                on = f" ON {found[2]}" if dialect == "postgresql" else ""
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {found[1]}{on}")
            connection.exec_driver_sql(statement)
    connection.execute(delete(SCHEMA_VERSION))
    connection.execute(
        insert(SCHEMA_VERSION).values(version=VERSION, layout=layout_of(metadata, guards))
    )


def _check_columns(connection: Connection, metadata: Sequence[MetaData]) -> None:
    found = inspect(connection)
    for part in metadata:
        for table in part.tables.values():
            have = {column["name"] for column in found.get_columns(table.name)}
            missing = {column.name for column in table.columns} - have
            if missing:
                raise StoreError(
                    f"Table {table.name} of this database has no column"
                    f" {', '.join(sorted(missing))}: it was made by an unreleased version.",
                    hint="Start with a new home, or upgrade the table by hand.",
                )
