"""Bring the tables of an older release to what this one declares.

What is declared is compared with what is there, so that a room which adds a column or an
index writes nothing but the column or the index. Done without a step of their own are:

* a new table, a new trigger, a trigger with another text (``schema.lay_out``);
* a new column that may be NULL or has a default, also one of Python's that is a plain value;
* a new index or unique constraint, an index by the same name over other columns;
* a text column that may be longer, a whole number that may be larger;
* on PostgreSQL, a column that may now be NULL.

Everything else is refused before anything is touched, and needs a :class:`schema.Step`.
A column or index that is declared no more stays where it is, unless it would be in the way.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    inspect,
    literal,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning
from sqlalchemy.schema import CreateIndex, DropIndex
from sqlalchemy.types import BigInteger, TypeEngine

from mainspring.ground.errors import StoreError


def changes(connection: Connection, metadata: Sequence[MetaData]) -> list[Any]:
    """Return the statements that bring the tables that are there to what is declared.

    Tables that are not there are left out: they are made whole.

    Raises:
        StoreError: if a difference cannot be mended by them; it names every one.
    """
    there = _There(connection)
    statements: list[Any] = []
    refused: list[str] = []
    for part in metadata:
        for table in part.tables.values():
            if (None, table.name) not in there.columns:
                continue
            for found in (*_columns(there, table), *_uniques(there, table)):
                (refused if isinstance(found, _Refused) else statements).append(found)
            statements += _indexes(there, table)
    if refused:
        raise StoreError(
            "This database cannot be upgraded: " + "; ".join(refused) + ".",
            hint="Was it changed by hand, or made by an unreleased version? Nothing was touched.",
        )
    return statements


_INDEX_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
}


class _Refused(str):
    """A difference that no statement of ours mends, in words."""

    __slots__ = ()


class _There:
    """What the database holds now."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        inspector = inspect(connection)
        with warnings.catch_warnings():
            # An index of SQLite's over an expression is not described; its name will do.
            warnings.simplefilter("ignore", SAWarning)
            self.columns: dict[Any, Any] = inspector.get_multi_columns()
            self.indexes: dict[Any, Any] = inspector.get_multi_indexes()
            self.uniques: dict[Any, Any] = inspector.get_multi_unique_constraints()
        self.names = set(connection.exec_driver_sql(_INDEX_NAMES[self.dialect.name]).scalars())

    def quote(self, name: str) -> str:
        return self.dialect.identifier_preparer.quote(name)

    @property
    def is_sqlite(self) -> bool:
        return self.dialect.name == "sqlite"


# ---------------------------------------------------------------- columns


def _columns(there: _There, table: Table) -> Iterator[str]:
    have = {column["name"]: column for column in there.columns[None, table.name]}
    for column in table.columns:
        if column.name in have:
            yield from _changed(there, table, column, have[column.name])
        else:
            yield _added(there, table, column)
    declared = {column.name for column in table.columns}
    for name, found in have.items():
        if name not in declared and not found["nullable"] and found.get("default") is None:
            yield _Refused(f"{table.name}.{name} must be given, and this release does not know it")


def _added(there: _There, table: Table, column: Column[Any]) -> str:
    where = f"{table.name}.{column.name}"
    compiler: Any = there.dialect.ddl_compiler(there.dialect, None)  # type: ignore[arg-type]
    default = compiler.get_column_default_string(column)
    if default is None and column.default is not None and column.default.is_scalar:
        plain = literal(column.default.arg, column.type)  # type: ignore[attr-defined]
        default = str(plain.compile(dialect=there.dialect, compile_kwargs={"literal_binds": True}))
    if column.primary_key or (default is None and not column.nullable):
        return _Refused(f"{where} is missing, and no value is known for the rows there are")
    words = [
        f"ALTER TABLE {there.quote(table.name)} ADD COLUMN {there.quote(column.name)}",
        column.type.compile(dialect=there.dialect),
    ]
    words += [f"DEFAULT {default}"] if default is not None else []
    words += [] if column.nullable else ["NOT NULL"]
    for key in column.foreign_keys:
        target = key.column
        words.append(f"REFERENCES {there.quote(target.table.name)} ({there.quote(target.name)})")
    return " ".join(words)


def _changed(there: _There, table: Table, column: Column[Any], found: Any) -> Iterator[str]:
    where = f"{table.name}.{column.name}"
    alter = f"ALTER TABLE {there.quote(table.name)} ALTER COLUMN {there.quote(column.name)}"
    wanted = column.type.dialect_impl(there.dialect)
    if _family(wanted) != _family(found["type"]):
        yield _Refused(f"{where} is {found['type']}, and must be {wanted}")
    elif not there.is_sqlite and _is_wider(wanted, found["type"]):  # SQLite keeps any length
        yield f"{alter} TYPE {column.type.compile(dialect=there.dialect)}"
    if column.primary_key or column.nullable == found["nullable"]:
        return
    if column.nullable and not there.is_sqlite:
        yield f"{alter} DROP NOT NULL"
    else:
        yield _Refused(f"{where} {'may' if column.nullable else 'must not'} be NULL")


def _family(kind: TypeEngine[Any]) -> str:
    # Boolean first: it is no Integer for SQLAlchemy, and no other is one of its kind.
    families = ((Boolean, "bool"), (Integer, "whole"), (Float, "number"), (String, "text"))
    for base, name in families:
        if isinstance(kind, base):
            return name
    return "bytes" if isinstance(kind, LargeBinary) else type(kind).__name__


def _is_wider(wanted: TypeEngine[Any], found: TypeEngine[Any]) -> bool:
    if isinstance(wanted, String) and isinstance(found, String):
        return found.length is not None and (wanted.length or 1 << 40) > found.length
    sizes = [
        1 if isinstance(kind, SmallInteger) else 3 if isinstance(kind, BigInteger) else 2
        for kind in (wanted, found)
    ]
    return isinstance(wanted, Integer) and sizes[0] > sizes[1]


# ---------------------------------------------------------------- indexes


def _uniques(there: _There, table: Table) -> Iterator[str]:
    here = (None, table.name)
    have = {tuple(sorted(one["column_names"])) for one in there.uniques.get(here, ())}
    have |= {
        tuple(sorted(map(str, one["column_names"])))
        for one in there.indexes.get(here, ())
        if one["unique"]
    }
    for one in table.constraints:
        if isinstance(one, UniqueConstraint):
            names = [column.name for column in one.columns]
            if tuple(sorted(names)) not in have:
                name = there.quote("_".join(["uq", table.name, *names])[:60])
                columns = ", ".join(map(there.quote, names))
                yield f"CREATE UNIQUE INDEX {name} ON {there.quote(table.name)} ({columns})"


def _indexes(there: _There, table: Table) -> Iterator[Any]:
    have = {one["name"]: one for one in there.indexes.get((None, table.name), ())}
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        found = have.get(index.name)
        if index.name in there.names:
            if found is None or _is_same(index, found):
                continue
            yield DropIndex(index)
        yield CreateIndex(index)


def _is_same(index: Index, found: Any) -> bool:
    # What is no plain column (an expression, a direction) is known by the index's name alone.
    if not all(isinstance(each, Column) for each in index.expressions):
        return True
    names = [column.name for column in index.columns]
    return names == list(found["column_names"]) and bool(index.unique) == bool(found["unique"])
