"""What an archive holds: which tables, in which order, and how a cell is written."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from mainspring.ground.errors import DamagedError
from mainspring.workspace.keeping import owning, texts

#: Never in an archive, and why.
LEFT_OUT = {
    "tokens": "secrets stay at home",
    "webhooks": "secrets stay at home",
    "channels": "secrets stay at home",
    "secrets": "secrets stay at home",
    "trusted_packages": "what may run code is granted by a person, in each home anew",
    "registry_events": "what is still to be delivered is delivered by the home it happened in",
    "tasks": "work under way stays with those who do it",
    "edges": "work under way stays with those who do it",
    "callbacks": "work under way stays with those who do it",
    "checkpoints": "work under way stays with those who do it",
    "marks": "work under way stays with those who do it",
    "journals": "work under way stays with those who do it",
    "schedules": "nothing starts by itself in another home",
    "triggers": "nothing starts by itself in another home",
    "trigger_events": "nothing starts by itself in another home",
    "firings": "nothing starts by itself in another home",
    "schema_version": "every home has its own",
    "data_parts": "where bytes are kept is found again by whoever adds them",
    "audit": "it is put in as evidence, and not spliced into another chain",
}
#: After all others, in this order: the database's guards ask what was put in before.
_LAST = ("gates", "version_facts", "aliases", "deleted_versions", "deleted_models")
_SECRET = ("secret", "password", "hash")
INT64 = 2**63


def tables(experiments_only: bool = False) -> list[Table]:
    """Return the tables of an archive, those first that others refer to."""
    found = [table for table in texts.tables() if not left_out(table)]
    if experiments_only:
        belongs = [*owning.of_runs(["x"]), *owning.of_experiments([0])]
        own = {table.name for table, _ in belongs} | {"datasets", "environments", "code_texts"}
        found = [table for table in found if table.name in own]
    late = {name: place for place, name in enumerate(_LAST, 1)}
    return sorted(found, key=lambda table: late.get(table.name, 0))


def left_out(table: Table) -> bool:
    """Return whether a table is never in an archive; whatever holds a secret is not."""
    return table.name in LEFT_OUT or any(column.name in _SECRET for column in table.columns)


def serial(table: Table) -> str | None:
    """Return the column that the database itself numbers, if there is one."""
    column = table.autoincrement_column
    return None if column is None else str(column.name)


def identity(table: Table) -> list[str]:
    """Return the columns by which a row is known in any home; none if it has no name of its own.

    A number that a database gave is no name.
    """
    number = serial(table)
    if number is None:
        return [str(column.name) for column in table.primary_key.columns]
    named = [[str(c.name) for c in each.columns] for each in table.constraints
             if isinstance(each, UniqueConstraint)]  # fmt: skip
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        partial = any(option.get("where") is not None for option in index.dialect_options.values())
        if index.unique and not partial:
            named.append([str(column.name) for column in index.columns])
    return min(named, key=str) if named else []


def owner(table: Table) -> list[str]:
    """Return the columns that say to what a row without a name of its own belongs."""
    for key in sorted(table.foreign_key_constraints, key=lambda one: str(one.column_keys)):
        return [str(name) for name in key.column_keys]
    return next(
        ([name] for name in ("run", "model", "endpoint", "loop") if name in table.c),
        [str(column.name) for column in table.columns][:1],
    )


def to_json(value: Any) -> Any:
    """Return a cell as JSON can say it, so that it comes back exactly.

    >>> to_json(float("-inf")), to_json(b"ab"), to_json(-(2**63))
    ({'float': '-inf'}, {'base64': 'YWI='}, -9223372036854775808)
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    return value


def from_json(column: Column[Any], value: Any) -> Any:
    """Return the cell that JSON says, as its column takes it.

    Raises:
        DamagedError: if the column cannot hold such a value.
    """
    if value is None and column.nullable and not column.primary_key:
        return None
    for kind, read in _READERS:
        if isinstance(column.type, kind):
            found = read(value)
            if found is not None:
                return found
    raise DamagedError(
        f"The archive is damaged: {column.table.name}.{column.name} cannot be {str(value)[:60]!r}."
    )


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and -INT64 <= value < INT64 else None


def _float(value: Any) -> float | None:
    if isinstance(value, dict):
        value = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.get(value.get("float", ""))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bytes(value: Any) -> bytes | None:
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (TypeError, KeyError, binascii.Error):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and "\x00" not in value else None


_READERS: tuple[tuple[type[Any], Any], ...] = (
    (Boolean, _bool),
    (Integer, _int),
    (Float, _float),
    (LargeBinary, _bytes),
    (String, _text),
)
