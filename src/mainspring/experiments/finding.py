"""Find runs by what was logged for them: a filter, orders, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, exists, func, not_, select

from mainspring.experiments.expressions import (
    AS_TAGS,
    EVERYTHING,
    And,
    Condition,
    Expression,
    Kind,
    Order,
    check,
    conditions_in,
)
from mainspring.experiments.ordering import Cursor, after, digest_of, read_cursor
from mainspring.experiments.tables import deleted_runs, runs
from mainspring.experiments.ways import Search, Source, by_condition, segments, to_count, without
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Tx

__all__ = ["Condition", "Found", "Kind", "Order", "Search", "count", "find", "page"]

MOST_COUNTED = 10_000
_MOST_CONDITIONS, _MOST_ORDERS = 200, 200
_MOST_VALUES = 20_000  #: a statement of SQLite takes 32,766 variables


class Found(msgspec.Struct, frozen=True):
    """The ids of some runs, and where to go on."""

    ids: list[str]
    cursor: str | None = None  #: None at the end


def page(tx: Tx, search: Search, *, limit: int = 100, cursor: str | None = None) -> Found:
    """Return runs a page at a time. Runs that start meanwhile move no page.

    Raises:
        BadInputError: for an unknown key, an operator that its kind does not have, or a cursor
            of another search.
    """
    _check(search)
    orders = _all_orders(search)
    seen = None
    if cursor is not None:
        seen = read_cursor(cursor, orders, _kinds(orders))
    rows = _rows(tx, search, orders, limit + 1, seen)
    ids = [row[0] for row in rows[:limit]]
    if len(rows) <= limit:
        return Found(ids)
    return Found(ids, Cursor(digest_of(orders), rows[limit - 1][1]).text())


def find(
    tx: Tx,
    expression: Expression = EVERYTHING,
    *,
    experiments: Sequence[str] | None = None,
    deleted: bool | None = False,
    conditions: Sequence[Condition] = (),
    orders: Sequence[Order] = (),
    limit: int = 1000,
    offset: int = 0,
) -> list[str]:
    """Return the ids of the runs that meet a filter; ties by newest, then by id.

    Args:
        tx: The transaction.
        expression: What must hold.
        experiments: Only of these; None is all.
        deleted: Only such runs; None is both.
        conditions: What must hold too, at most 200 in all.
        orders: The first counts most.
        limit: How many at most.
        offset: How many to pass over.

    Raises:
        BadInputError: for an unknown key, or an operator that its kind does not have.
    """
    if conditions:
        expression = And((expression, *conditions))
    ties = (Order("run", "started", ascending=False), Order("run", "id"))
    within = None if experiments is None else tuple(experiments)
    search = Search(expression, (*orders, *ties), within, deleted)
    _check(search)
    rows = _rows(tx, search, search.orders, limit + offset, None)
    return [row[0] for row in rows[offset:]]


def count(tx: Tx, search: Search) -> int:
    """Return how many runs meet a filter; more than 10,000 are counted as 10,001.

    Raises:
        BadInputError: for an unknown key, or an operator that its kind does not have.
    """
    _check(search)
    source = to_count(tx, search)
    statement = _select(source, search, [source.asked.run]).limit(MOST_COUNTED + 1)
    counted = select(func.count().label("n")).select_from(statement.subquery())
    return int(tx.all(counted)[0].n)


def _check(search: Search) -> None:
    conditions = conditions_in(search.expression)
    if len(conditions) > _MOST_CONDITIONS or len(search.orders) > _MOST_ORDERS:
        raise BadInputError(
            f"At most {_MOST_CONDITIONS} conditions and {_MOST_ORDERS} orders are taken.",
            field="filter",
        )
    for one in conditions:
        check(one)
    values = sum(len(one.value) for one in conditions if isinstance(one.value, list))
    if values > _MOST_VALUES:
        raise BadInputError(f"At most {_MOST_VALUES:,} values are looked for.", field="filter")


def _all_orders(search: Search) -> tuple[Order, ...]:
    """Return the orders with one at the end that no two runs share."""
    orders = search.orders or (Order("run", "started", ascending=False),)
    if any(one.kind == "run" and one.key == "id" for one in orders):
        return orders
    # In the direction of the first, so that an index by value and run gives both at once.
    return (*orders, Order("run", "id", ascending=orders[0].ascending))


def _kinds(orders: Sequence[Order]) -> list[Any]:
    number: Any = (int, float)
    found: list[Any] = []
    for one in orders:
        if one.kind == "metric" or one.key in ("started", "ended", "duration"):
            found += [int, number]
        elif one.kind in ("param", "tag") or one.key in AS_TAGS:
            found += [int, str] if one.textual else [int, number, str]
        else:
            found += [int, str]
    return found


# ---------------------------------------------------------------- ways to a page


def _rows(
    tx: Tx, search: Search, orders: Sequence[Order], wanted: int, seen: Sequence[Any] | None
) -> list[tuple[str, list[Any]]]:
    """Return the ids of runs in order, each with what its slots hold."""
    few = by_condition(tx, search, orders, wanted)
    ways = iter([few]) if few is not None else segments(tx, search, orders)
    found: list[tuple[str, list[Any]]] = []
    for way in ways:
        if len(found) >= wanted:
            break
        if seen is not None and _is_passed(way, seen):
            continue
        shown = [
            (slot.what.label(f"s{place}"), slot.rising)
            for place, slot in enumerate(way.slots)
            if isinstance(slot.what, ColumnElement)
        ]
        statement = _select(way, search, [way.asked.run, *(what for what, _ in shown)])
        # By their labels, so that what is looked up for an order is looked up once.
        statement = statement.order_by(*(what if up else what.desc() for what, up in shown))
        if seen is not None:
            statement = statement.where(after(way.slots, seen))
        for row in tx.all(statement.limit(wanted - len(found))):
            held = iter(row[1:])
            values = [
                next(held) if isinstance(slot.what, ColumnElement) else slot.what
                for slot in way.slots
            ]
            found.append((row[0], values))
    return found


def _is_passed(way: Source, seen: Sequence[Any]) -> bool:
    first = way.slots[0].what
    return isinstance(first, int) and first < seen[0]


def _select(way: Source, search: Search, columns: Sequence[Any]) -> Select[Any]:
    run = way.asked.run
    wanted = [*way.wanted, way.asked.holds(without(search.expression, way.met))]
    if search.experiments is not None:
        within = runs.c.experiment.in_(list(search.experiments))
        wanted.append(way.asked.of_run(within))
    if search.deleted is not None:
        gone = exists().where(deleted_runs.c.run == run)
        wanted.append(gone if search.deleted else not_(gone))
    return select(*columns).select_from(way.table).where(*wanted)
