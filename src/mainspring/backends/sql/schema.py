"""Lay out tables and guards on open, upgrade what an older release made, refuse a newer one.

The database keeps a version and a digest of its layout. Where both are today's, opening asks
one question and is done. Where they are not, and only then, :mod:`upgrading` compares what
is declared with what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_mock_engine,
    delete,
    insert,
    inspect,
)
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.types import TypeEngine

from mainspring.backends.sql import audit
from mainspring.ground.errors import StoreError
from mainspring.ground.identity import key_of
from mainspring.ground.ports import Tx

Guard = tuple[str, Mapping[str, str | Sequence[str]]]
"""A name and, for each dialect, the statements that put a trigger in place."""


class Step(NamedTuple):
    """Work on the rows that an upgrade needs, beyond new tables, columns and indexes.

    Rooms write it as a plain tuple, as they do a guard, in ``STEPS`` of their ``tables.py``.
    """

    version: int  #: done on the way from an older version to this one
    name: str  #: what it does, for the audit log
    work: Callable[[Tx], None]  #: runs after everything new was added, in the same transaction


class Found(NamedTuple):
    """What a database says of itself."""

    version: int
    layout: str


VERSION = 2
METADATA = MetaData()
SCHEMA_VERSION = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, nullable=False),
    Column("layout", Text, nullable=False),  # digest of table, column, index and guard texts
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


def found_in(connection: Connection, dialect: str) -> Found | None:
    """Return what the database says of itself, or None if nothing was laid out in it yet.

    Raises:
        StoreError: if a newer release made it, or it does not say one thing.
    """
    if connection.exec_driver_sql(_HAS_VERSION[dialect]).first() is None:
        return None
    rows = connection.exec_driver_sql("SELECT version, layout FROM schema_version LIMIT 2").all()
    if len(rows) != 1 or not isinstance(rows[0].version, int) or rows[0].version < 1:
        raise StoreError(
            f"The database is damaged: it must have one schema version, found"
            f" {[row.version for row in rows]}.",
            hint="Restore it from a backup.",
        )
    found = Found(rows[0].version, rows[0].layout)
    if found.version > VERSION:
        raise StoreError(
            f"The database has schema {found.version}, and this release knows only {VERSION}.",
            hint="Use the release that made it, or a newer one.",
        )
    return found


def layout_of(metadata: Iterable[MetaData], guards: Sequence[Guard]) -> str:
    """Return a digest that changes with the tables' columns, the indexes and the guards."""
    tables = sorted(
        [
            str(table.name),
            [[str(c.name), _kind(c.type), bool(c.nullable)] for c in table.columns],
            sorted([str(i.name), bool(i.unique), _words(i.expressions)] for i in table.indexes),
            sorted(
                _words(c.columns) for c in table.constraints if isinstance(c, UniqueConstraint)
            ),
        ]
        for part in metadata
        for table in part.tables.values()
    )
    return key_of(tables, [[name, dict(ddl)] for name, ddl in guards])


#: One for all: the text of each type would make a dialect of its own, 30 us a column.
_PLAIN = DefaultDialect()


def _kind(kind: TypeEngine[Any]) -> str:
    return _PLAIN.type_compiler_instance.process(kind)


def _words(expressions: Iterable[object]) -> list[str]:
    # A column's text would be compiled, and opening has only a few milliseconds.
    return [str(getattr(each, "name", None) or each) for each in expressions]


def all_parts(
    metadata: Sequence[MetaData], guards: Sequence[Guard]
) -> tuple[list[MetaData], list[Guard]]:
    """Return the rooms' tables and guards with the store's own."""
    return [METADATA, audit.METADATA, *metadata], [*audit.GUARDS, *guards]


def lay_out(
    connection: Connection, dialect: str, metadata: Sequence[MetaData], guards: Sequence[Guard]
) -> None:
    """Create what is missing and note the version; the caller holds every other process off."""
    layout = layout_of(metadata, guards)
    if inspect(connection).get_table_names():
        for part in metadata:
            part.create_all(connection, checkfirst=True)
        check_columns(connection, metadata)
        _drop_old_guards(connection, dialect, metadata)
    else:  # nothing to ask about
        for statement in _texts(connection.dialect, layout, metadata):
            connection.exec_driver_sql(statement)
    for _, ddl in guards:
        statements = ddl.get(dialect, ())
        for statement in [statements] if isinstance(statements, str) else statements:
            if found := _TRIGGER.match(statement):  # an older text of it may stand there
                on = f" ON {found[2]}" if dialect == "postgresql" else ""
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {found[1]}{on}")
            connection.exec_driver_sql(statement)
    connection.execute(delete(SCHEMA_VERSION))
    connection.execute(insert(SCHEMA_VERSION).values(version=VERSION, layout=layout))


#: By dialect and layout: a process that makes many homes writes these texts once.
_TEXTS: dict[tuple[str, str], list[str]] = {}


def _texts(dialect: Dialect, layout: str, metadata: Sequence[MetaData]) -> list[str]:
    """Return the statements that create every table and index in an empty database."""
    key = dialect.name, layout
    if key not in _TEXTS:
        texts: list[str] = []

        def write(ddl: ExecutableDDLElement, *_: object, **__: object) -> None:
            texts.append(str(ddl.compile(dialect=dialect)))

        for part in metadata:
            part.create_all(create_mock_engine(f"{dialect.name}://", write), checkfirst=False)
        _TEXTS[key] = texts
    return _TEXTS[key]


_OURS = "%mainspring refuses: %"  #: what each of our triggers says when it refuses
_GUARDS = {
    "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE ?",
    "postgresql": (
        "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"
        " AND pg_table_is_visible(c.oid) AND p.prosrc LIKE %s"
    ),
}


def _drop_old_guards(connection: Connection, dialect: str, metadata: Sequence[MetaData]) -> None:
    """Take away our triggers: one that is declared no more would go on refusing."""
    tables = {str(table.name) for part in metadata for table in part.tables.values()}
    for name, table in connection.exec_driver_sql(_GUARDS[dialect], (_OURS,)).all():
        if table in tables:
            on = f" ON {table}" if dialect == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")


def check_columns(connection: Connection, metadata: Sequence[MetaData]) -> None:
    """Refuse a table of ours that lacks a column.

    Raises:
        StoreError: if there is one, for instance another program's table of the same name.
    """
    have = inspect(connection).get_multi_columns()
    for part in metadata:
        for table in part.tables.values():
            there = {column["name"] for column in have[None, table.name]}
            missing = {column.name for column in table.columns} - there
            if missing:
                raise StoreError(
                    f"Table {table.name} of this database has no column"
                    f" {', '.join(sorted(missing))}: no release of Mainspring made it.",
                    hint="Start with a new home or an empty database.",
                )
