"""Find runs by what was logged for them: conditions, orders, a page at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Table, case, exists, select

from mainspring.experiments.tables import deleted_runs, metrics, params, runs, tags
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Tx

Kind = Literal["run", "metric", "param", "tag"]

_TABLES: dict[str, Table] = {"metric": metrics, "param": params, "tag": tags}
_NUMBERS = {"started": runs.c.started, "ended": runs.c.ended}
_TEXTS = {name: runs.c[name] for name in ("id", "name", "status", "experiment", "pipeline")}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MOST = 100  #: conditions or orders of one search
_MOST_WANTED = 1000  #: texts in a list
_MOST_PATTERN, _MOST_WILD = 1000, 8


class Condition(msgspec.Struct, frozen=True):
    """What must hold of a run.

    A run without the metric, param or tag meets ``null`` and nothing else. NaN meets nothing.
    """

    kind: Kind
    key: str  #: of a metric, param or tag; or id, name, status, experiment, started, ended
    op: str  #: = != < <= > >= for numbers; = != like ilike in, not in, null, not null for texts
    value: str | float | list[str] | None = None


class Order(msgspec.Struct, frozen=True):
    """By what runs are ordered. Those that lack it come last, NaN right before them."""

    kind: Kind
    key: str
    ascending: bool = True


def find(
    tx: Tx,
    *,
    experiments: Sequence[str] | None = None,
    deleted: bool | None = False,
    conditions: Sequence[Condition] = (),
    orders: Sequence[Order] = (),
    limit: int = 1000,
    offset: int = 0,
) -> list[str]:
    """Return the ids of the runs that meet every condition; ties by newest, then by id.

    Args:
        tx: The transaction.
        experiments: Only of these; None is all.
        deleted: Only such runs; None is both.
        conditions: What must hold, at most 100.
        orders: The first counts most, at most 100.
        limit: How many at most.
        offset: How many to pass over.

    Raises:
        BadInputError: for an unknown key, or an operator that its kind does not have.
    """
    if len(conditions) > _MOST or len(orders) > _MOST:
        raise BadInputError(f"At most {_MOST} conditions and {_MOST} orders are taken.")
    wanted: list[ColumnElement[bool]] = [_holds(tx, one) for one in conditions]
    if experiments is not None:
        wanted.append(runs.c.experiment.in_(list(experiments)))
    if deleted is not None:
        gone = exists().where(deleted_runs.c.run == runs.c.id)
        wanted.append(gone if deleted else ~gone)
    by = [part for one in orders for part in _order(one)]
    statement = select(runs.c.id).where(*wanted).order_by(*by, runs.c.started.desc(), runs.c.id)
    return [row.id for row in tx.all(statement.limit(limit).offset(offset))]


def _holds(tx: Tx, one: Condition) -> ColumnElement[bool]:
    if one.kind == "run":
        if one.key in _NUMBERS:
            return _number(_NUMBERS[one.key], one)
        return _text(tx, _TEXTS[_known(one.key)], one)
    table = _TABLES[one.kind]
    there = exists().where(table.c.run == runs.c.id, table.c.key == one.key)
    if one.op in ("null", "not null") and one.kind != "metric":
        return ~there if one.op == "null" else there
    if one.kind == "metric":
        return there.where(_number(metrics.c.value, one))
    return there.where(_text(tx, table.c.value, one))


def _number(column: ColumnElement[Any], one: Condition) -> ColumnElement[bool]:
    if one.op not in _COMPARE or isinstance(one.value, str | list) or one.value is None:
        raise BadInputError(
            f"{one.key} is compared with a number by one of {', '.join(_COMPARE)}.",
            field="filter",
        )
    found: ColumnElement[bool] = _COMPARE[one.op](column, float(one.value))
    return found


def _text(tx: Tx, column: ColumnElement[Any], one: Condition) -> ColumnElement[bool]:
    if one.op in ("null", "not null"):
        return column.is_(None) if one.op == "null" else column.is_not(None)
    if isinstance(one.value, list) and len(one.value) <= _MOST_WANTED:
        if one.op in ("in", "not in"):
            return column.in_(one.value) if one.op == "in" else column.not_in(one.value)
    elif isinstance(one.value, str):
        if one.op in ("=", "!="):
            return column == one.value if one.op == "=" else column != one.value
        if one.op in ("like", "ilike"):
            return _like(tx, column, one.value, folded=one.op == "ilike")
    raise BadInputError(
        f"{one.key} is compared with text by =, !=, LIKE or ILIKE, or with a list of at most"
        f" {_MOST_WANTED} texts by IN or NOT IN.",
        field="filter",
    )


def _like(
    tx: Tx, column: ColumnElement[Any], pattern: str, *, folded: bool
) -> ColumnElement[bool]:
    # Every wildcard multiplies the ways to match, so they are few.
    if len(pattern) > _MOST_PATTERN or pattern.count("%") > _MOST_WILD:
        raise BadInputError(
            f"A pattern has at most {_MOST_PATTERN} characters and {_MOST_WILD} of %.",
            field="filter",
        )
    if tx.dialect == "postgresql":
        plain = pattern.replace("\\", "\\\\")
        return column.ilike(plain) if folded else column.like(plain)
    if folded:
        return column.like(pattern)
    # SQLite's LIKE does not tell cases apart; its GLOB does.
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return column.op("GLOB", is_comparison=True)("".join(signs.get(c, c) for c in pattern))


def _order(one: Order) -> list[ColumnElement[Any]]:
    if one.kind == "run":
        column = _NUMBERS[one.key] if one.key in _NUMBERS else _TEXTS[_known(one.key)]
        rank: ColumnElement[Any] = case((column.is_(None), 1), else_=0)
        return [rank, column.asc() if one.ascending else column.desc()]
    table = _TABLES[one.kind]
    here = (table.c.run == runs.c.id) & (table.c.key == one.key)
    value = select(table.c.value).where(here).scalar_subquery()
    rank = case((value.is_not(None), 0), (exists().where(here), 1), else_=2)
    return [rank, value.asc() if one.ascending else value.desc()]


def _known(key: str) -> str:
    if key not in _TEXTS:
        known = ", ".join([*_TEXTS, *_NUMBERS])
        raise BadInputError(f"A run has no {key[:80]!r}; it has {known}.", field="filter")
    return key
