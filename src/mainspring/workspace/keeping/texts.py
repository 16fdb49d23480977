"""Walk the text of every table, a page at a time, and find the names in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, String, Table, func, literal, or_, select, tuple_

from mainspring.ground.ports import Tx
from mainspring.workspace import opening

PAGE = 2000  #: rows held in memory at a time
#: Evidence of what was, and what holds no name of ours: nothing stays because they say so.
SILENT = frozenset(
    {
        *("audit", "tokens", "secrets", "schema_version", "environments", "code_texts"),
        *("marks", "firings"),
    }
)
_DIGEST = re.compile(rb"(?=([0-9a-f]{64}))")  # within a longer one, every place that could be it
_WORD = re.compile(r"[A-Za-z0-9_.\-]+")


def tables() -> Iterator[Table]:
    """Return every table of every room, those that others are made of first."""
    for part in opening.metadata():
        yield from part.sorted_tables


def texts_of(table: Table) -> list[Any]:
    """Return the columns of a table that hold text."""
    return [column for column in table.columns if isinstance(column.type, String)]


def pages(
    tx: Tx, table: Table, columns: Iterable[Any], *where: ColumnElement[bool]
) -> Iterator[Any]:
    """Go through a table's rows by its primary key, never holding more than a page."""
    key = list(table.primary_key.columns)
    wanted = select(*dict.fromkeys([*key, *columns])).where(*where)
    if not key:
        yield from tx.all(wanted)
        return
    statement = wanted.order_by(*key).limit(PAGE)
    last: Any = None
    while True:
        after = [] if last is None else [_after(key, last)]
        rows = tx.all(statement.where(*after))
        yield from rows
        if len(rows) < PAGE:
            return
        last = rows[-1]


def _after(key: list[Any], last: Any) -> ColumnElement[bool]:
    values = [literal(value, column.type) for column, value in zip(key, last, strict=False)]
    found: ColumnElement[bool] = (
        tuple_(*key) > tuple_(*values) if len(key) > 1 else (key[0] > values[0])
    )
    return found


def long_texts(tx: Tx, table: Table, skip: Callable[[Any], bool] | None = None) -> Iterator[str]:
    """Return the texts of a table that are long enough to hold a digest.

    Rows that belong to a run or a logged model that is to be passed over are not looked at.
    """
    columns = texts_of(table)
    if not columns:
        return
    owners = [name for name in ("run", "model") if name in table.c]
    long = or_(*(func.length(column) >= 64 for column in columns))
    for row in pages(tx, table, columns, long):
        if skip is not None and any(skip(getattr(row, name)) for name in owners):
            continue
        yield from (cell for cell in row if isinstance(cell, str) and len(cell) >= 64)


def digests_in(data: bytes) -> set[bytes]:
    """Return every digest that is written out in some bytes, as 32 bytes each."""
    return {bytes.fromhex(found.decode()) for found in _DIGEST.findall(data)}


def words_in(text: str) -> set[str]:
    """Return every word of a text that could be the id of a run, also at a sentence's end."""
    found = set(_WORD.findall(text))
    return found | {word.strip(".-") for word in found}
