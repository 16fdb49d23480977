"""Find runs by what was logged for them: a filter, orders, a page at a time.

There are three ways to a page, and which one is quick depends on the data:

* **drive by a condition** that few runs meet: look those up and sort them;
* **walk the order**: go along the index of the first order, ask each run whether it meets the
  filter, and stop when the page is full;
* **sort everything**, where the first order has no index.

What few are is counted first, in the index and no further than :data:`FEW`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, func, not_, or_, select

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
from mainspring.experiments.meaning import COLUMNS, TABLES, Asked, table_of, value_meets
from mainspring.experiments.ordering import (
    FIRST,
    MISSING,
    SECOND,
    Cursor,
    Slot,
    after,
    digest_of,
    read_cursor,
    slots_of,
    sorting,
)
from mainspring.experiments.readings import head_of, number_in, number_of
from mainspring.experiments.tables import deleted_runs, metrics, runs, tags
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Tx

__all__ = ["Condition", "Found", "Kind", "Order", "Search", "count", "find", "page"]

FEW = 1_000  #: bench/search.py: up to here looking up and sorting costs less than 3 ms
MOST_COUNTED = 10_000
_MOST_CONDITIONS, _MOST_ORDERS = 200, 200
_MOST_VALUES = 20_000  #: a statement of SQLite takes 32,766 variables


class Search(msgspec.Struct, frozen=True):
    """Which runs are looked for, in which order."""

    expression: Expression = EVERYTHING
    orders: tuple[Order, ...] = ()  #: the first counts most; then the newest, then the id
    experiments: tuple[str, ...] | None = None  #: keys of experiments; None is all
    deleted: bool | None = False  #: only such runs; None is both


class Found(msgspec.Struct, frozen=True):
    """The ids of some runs, and where to go on."""

    ids: list[str]
    cursor: str | None = None  #: None at the end


class _Source(NamedTuple):
    """Where runs are taken from."""

    table: FromClause
    asked: Asked
    wanted: list[ColumnElement[bool]]
    slots: list[Slot]


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
    source = _by_condition(tx, search, ()) or _by_run(tx, ())
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
    few = _by_condition(tx, search, orders)
    ways = iter([few]) if few is not None else _segments(tx, search, orders)
    found: list[tuple[str, list[Any]]] = []
    for way in ways:
        if len(found) >= wanted:
            break
        if seen is not None and _is_passed(way, seen):
            continue
        shown = [slot.what for slot in way.slots if isinstance(slot.what, ColumnElement)]
        columns = [way.asked.run, *(what.label(f"s{i}") for i, what in enumerate(shown))]
        statement = _select(way, search, columns).order_by(*sorting(way.slots))
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


def _is_passed(way: _Source, seen: Sequence[Any]) -> bool:
    first = way.slots[0].what
    return isinstance(first, int) and first < seen[0]


def _select(way: _Source, search: Search, columns: Sequence[Any]) -> Select[Any]:
    run = way.asked.run
    wanted = [*way.wanted, way.asked.holds(search.expression)]
    if search.experiments is not None:
        within = runs.c.experiment.in_(list(search.experiments))
        wanted.append(way.asked.of_run(within))
    if search.deleted is not None:
        gone = exists().where(deleted_runs.c.run == run)
        wanted.append(gone if search.deleted else not_(gone))
    return select(*columns).select_from(way.table).where(*wanted)


def _by_run(tx: Tx, orders: Sequence[Order]) -> _Source:
    asked = Asked(runs.c.id, tx.dialect)
    return _Source(runs, asked, [], [slot for one in orders for slot in slots_of(one, asked)])


def _segments(tx: Tx, search: Search, orders: Sequence[Order]) -> Iterator[_Source]:
    """Yield, one after another, the stretches of the index of the first order."""
    first, rest = orders[0], orders[1:]
    if first.kind == "run" and first.key not in AS_TAGS:
        yield _by_run(tx, orders)
        return
    table = tags if first.kind == "run" else TABLES[first.kind]
    key = AS_TAGS[first.key] if first.kind == "run" else first.key
    walked = table.alias("walked")
    asked = Asked(walked.c.run, tx.dialect)
    more = [slot for one in rest for slot in slots_of(one, asked)]
    same = [walked.c.key == key, *_bounds(search, first, walked, tx.dialect)]
    up = first.ascending
    if first.kind == "metric":
        value = walked.c.value
        ranked = [Slot(FIRST), Slot(value, up), *more]
        yield _Source(walked, asked, [*same, value.is_not(None)], ranked)
        ranked = [Slot(SECOND), Slot(None), *more]
        yield _Source(walked, asked, [*same, value.is_(None)], ranked)
        lacking = [Slot(MISSING), Slot(None)]
    else:
        number, head = number_of(walked.c.value), head_of(walked.c.value)
        if first.textual:
            yield _Source(walked, asked, same, [Slot(FIRST), Slot(head, up), *more])
            lacking = [Slot(MISSING), Slot(None)]
        else:
            ranked = [Slot(FIRST), Slot(number, up), Slot(head, up), *more]
            yield _Source(walked, asked, [*same, number.is_not(None)], ranked)
            ranked = [Slot(SECOND), Slot(None), Slot(head, up), *more]
            yield _Source(walked, asked, [*same, number.is_(None)], ranked)
            lacking = [Slot(MISSING), Slot(None), Slot(None)]
    if _needs(search.expression, first):
        return
    direct = Asked(runs.c.id, tx.dialect)
    more = [slot for one in rest for slot in slots_of(one, direct)]
    there = exists().where(table.c.run == runs.c.id, table.c.key == key)
    yield _Source(runs, direct, [not_(there)], [*lacking, *more])


def _must(expression: Expression) -> list[Condition]:
    """Return conditions that every found run meets."""
    if isinstance(expression, Condition):
        return [expression]
    if isinstance(expression, And):
        return [one for part in expression.parts for one in _must(part)]
    return []


def _needs(expression: Expression, order: Order) -> bool:
    """Return whether no run that lacks what is ordered by can be found."""
    return any(
        one.kind == order.kind and one.key == order.key and one.op != "null"
        for one in _must(expression)
    )


def _bounds(
    search: Search, order: Order, walked: FromClause, dialect: str
) -> list[ColumnElement[bool]]:
    """Return conditions on the very thing that is walked, so that the walk begins there."""
    return [
        value_meets(walked.c.value, one, dialect)
        for one in _must(search.expression)
        if one.kind == order.kind == "metric" and one.key == order.key
        if one.op not in ("null", "not null")
    ]


# ---------------------------------------------------------------- driving by a condition


def _by_condition(tx: Tx, search: Search, orders: Sequence[Order]) -> _Source | None:
    """Return the runs of the condition that fewest meet, if those are few."""
    drivers = [
        found
        for one in _must(search.expression)
        if (found := _driver(one, tx.dialect)) is not None
    ]
    if search.experiments is not None:
        within = runs.c.experiment.in_(list(search.experiments))
        drivers.append((runs, runs.c.id, within))
    if not drivers:
        return None
    counts = [
        select(func.count())
        .select_from(select(run).select_from(table).where(met).limit(FEW + 1).subquery())
        .scalar_subquery()
        for table, run, met in drivers
    ]
    numbers = list(tx.all(select(*(one.label(f"n{i}") for i, one in enumerate(counts))))[0])
    fewest = min(range(len(numbers)), key=numbers.__getitem__)
    if numbers[fewest] > FEW:
        return None
    table, run, met = drivers[fewest]
    asked = Asked(run, tx.dialect)
    slots = [slot for one in orders for slot in slots_of(one, asked)]
    return _Source(table, asked, [met], slots)


def _driver(
    one: Condition, dialect: str
) -> tuple[FromClause, ColumnElement[str], ColumnElement[bool]] | None:
    """Return where an index gives the runs that meet a condition, or None."""
    if one.kind == "run" and one.key not in AS_TAGS:
        if one.key not in ("id", "parent", "started") or one.op not in _INDEXED:
            return None
        return runs, runs.c.id, value_meets(COLUMNS[one.key], one, dialect)
    if one.kind == "dataset" or one.op not in _INDEXED:
        return None
    table, key = table_of(one)
    driving = table.alias("driving")
    value = driving.c.value
    met = value_meets(value, one, dialect)
    if table is not metrics:
        met = and_(_reads(value, one), met)
    return driving, driving.c.run, and_(driving.c.key == key, met)


_INDEXED = ("=", "<", "<=", ">", ">=", "in", "nan")


def _reads(column: ColumnElement[Any], one: Condition) -> ColumnElement[bool]:
    """Return what the index of texts knows of a condition: how it reads, and how it begins."""
    wanted = one.value if isinstance(one.value, list) else [one.value]
    if not isinstance(wanted[0], str):
        return number_of(column).is_not(None)
    begins = []
    for text in wanted:
        number = number_in(str(text))
        reads = number_of(column)
        same = reads.is_(None) if number is None else reads == number
        begins.append(and_(same, head_of(column) == str(text)[:200]))
    return or_(*begins)
