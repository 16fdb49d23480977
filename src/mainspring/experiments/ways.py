"""The ways to a page of runs, and which of them costs less.

* **Drive by a condition** that few runs meet: look those up and sort them.
* **Walk the order**: go along the index of the first order, ask each run whether it meets the
  filter, and stop when the page is full.
* **Sort everything**, where the first order has no index.

What few are is counted first, in the index and no further than :data:`FEW`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, nextafter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy import table as plain_table

from mainspring.experiments.expressions import (
    AS_TAGS,
    EVERYTHING,
    And,
    Condition,
    Expression,
    Order,
)
from mainspring.experiments.meaning import COLUMNS, TABLES, Asked, table_of, value_meets
from mainspring.experiments.ordering import FIRST, MISSING, SECOND, Slot, slots_of
from mainspring.experiments.readings import HEAD, head_of, number_in, number_of
from mainspring.experiments.tables import datasets, metrics, run_datasets, runs, tags
from mainspring.ground.ports import Tx

FEW = 2_000  #: bench/search.py: looking up and sorting a run costs 5 to 10 us
_MOST_DRIVING = 20  #: values in a list that an index is asked for one by one
SURELY = 500  #: runs that are walked in no time


class Search(msgspec.Struct, frozen=True):
    """Which runs are looked for, in which order."""

    expression: Expression = EVERYTHING
    orders: tuple[Order, ...] = ()  #: the first counts most; then the newest, then the id
    experiments: tuple[str, ...] | None = None  #: keys of experiments; None is all
    deleted: bool | None = False  #: only such runs; None is both


class Source(NamedTuple):
    """Where runs are taken from."""

    table: FromClause
    asked: Asked
    wanted: list[ColumnElement[bool]]
    slots: list[Slot]
    met: tuple[Condition, ...] = ()  #: conditions that ``wanted`` sees to


class _Driver(NamedTuple):
    """An index that gives the runs which meet a condition."""

    table: FromClause
    run: ColumnElement[str]
    met: ColumnElement[bool]
    condition: Condition | None  #: None: the experiments that are looked in
    counted: Select[Any] | None = None  #: what to count, where ``table`` would cost more


def by_run(tx: Tx, orders: Sequence[Order]) -> Source:
    """Return every run, to be sorted or walked by when it started."""
    asked = Asked(runs.c.id, tx.dialect)
    return Source(runs, asked, [], [slot for one in orders for slot in slots_of(one, asked)])


def segments(tx: Tx, search: Search, orders: Sequence[Order]) -> Iterator[Source]:
    """Yield, one after another, the stretches of the index of the first order."""
    first, rest = orders[0], orders[1:]
    if first.kind == "run" and first.key not in AS_TAGS:
        yield by_run(tx, orders)
        return
    table = tags if first.kind == "run" else TABLES[first.kind]
    key = AS_TAGS[first.key] if first.kind == "run" else first.key
    walked = table.alias("walked")
    asked = Asked(walked.c.run, tx.dialect)
    more = [slot for one in rest for slot in slots_of(one, asked)]
    bounds = _bounds(search, first)
    same = [walked.c.key == key, *(value_meets(walked.c.value, b, tx.dialect) for b in bounds)]
    up = first.ascending
    if first.kind == "metric":
        value = walked.c.value
        ranked = [Slot(FIRST), Slot(value, up), *more]
        yield Source(walked, asked, [*same, value.is_not(None)], ranked, bounds)
        ranked = [Slot(SECOND), Slot(None), *more]
        yield Source(walked, asked, [*same, value.is_(None)], ranked, bounds)
        lacking = [Slot(MISSING), Slot(None)]
    else:
        number, head = number_of(walked.c.value), head_of(walked.c.value)
        if first.textual:
            yield Source(walked, asked, same, [Slot(FIRST), Slot(head, up), *more])
            lacking = [Slot(MISSING), Slot(None)]
        else:
            ranked = [Slot(FIRST), Slot(number, up), Slot(head, up), *more]
            yield Source(walked, asked, [*same, number.is_not(None)], ranked)
            ranked = [Slot(SECOND), Slot(None), Slot(head, up), *more]
            yield Source(walked, asked, [*same, number.is_(None)], ranked)
            lacking = [Slot(MISSING), Slot(None), Slot(None)]
    if _needs(search.expression, first):
        return
    direct = Asked(runs.c.id, tx.dialect)
    more = [slot for one in rest for slot in slots_of(one, direct)]
    there = exists().where(table.c.run == runs.c.id, table.c.key == key)
    yield Source(runs, direct, [not_(there)], [*lacking, *more])


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


def _bounds(search: Search, order: Order) -> tuple[Condition, ...]:
    """Return conditions on the very metric that is walked, so that the walk begins there."""
    return tuple(
        one
        for one in _must(search.expression)
        if one.kind == order.kind == "metric" and one.key == order.key
        if one.op not in ("null", "not null")
    )


def without(expression: Expression, met: Sequence[Condition]) -> Expression:
    """Return what is left to ask once some of the conditions that must hold are seen to."""
    if not met or isinstance(expression, Condition):
        return EVERYTHING if expression in met else expression
    if isinstance(expression, And):
        return And(tuple(without(part, met) for part in expression.parts))
    return expression


def by_condition(tx: Tx, search: Search, orders: Sequence[Order], wanted: int) -> Source | None:
    """Return the runs of the condition that fewest meet, if looking those up costs less."""
    # Walking the order takes the bounds of its own key with it, and sorts nothing.
    walked = orders[0] if orders[0].kind == "metric" else None
    found = _fewest(tx, search, walked)
    if found is None or found[0] > FEW or not _pays(tx, found[0], wanted):
        return None
    return _driven(tx, found[1], orders)


def to_count(tx: Tx, search: Search) -> Source:
    """Return runs in no order, of which all that are looked for are some."""
    found = _fewest(tx, search, None)
    if found is None or (found[0] > FEW and found[1].counted is not None):
        return by_run(tx, ())
    return _driven(tx, found[1], ())


def _fewest(tx: Tx, search: Search, walked: Order | None) -> tuple[int, _Driver] | None:
    """Return the index that gives fewest runs, and how many, counted no further than FEW."""
    drivers = [
        found
        for one in _must(search.expression)
        if walked is None or (one.kind, one.key) != (walked.kind, walked.key)
        if (found := _driver(one, tx.dialect)) is not None
    ]
    if search.experiments is not None:
        within = runs.c.experiment.in_(list(search.experiments))
        drivers.append(_Driver(runs, runs.c.id, within, None))
    if not drivers:
        return None
    return min(zip(_counted(tx, drivers), drivers, strict=True), key=lambda each: each[0])


def _driven(tx: Tx, driver: _Driver, orders: Sequence[Order]) -> Source:
    asked = Asked(driver.run, tx.dialect)
    slots = [slot for one in orders for slot in slots_of(one, asked)]
    met = () if driver.condition is None else (driver.condition,)
    return Source(driver.table, asked, [driver.met], slots, met)


def _counted(tx: Tx, drivers: Sequence[_Driver]) -> list[int]:
    """Return how many runs each driver gives, counted no further than to be many."""
    counts = [
        select(func.count()).select_from(_given(one).limit(FEW + 1).subquery()).scalar_subquery()
        for one in drivers
    ]
    return list(tx.all(select(*(one.label(f"n{i}") for i, one in enumerate(counts))))[0])


def _given(one: _Driver) -> Select[Any]:
    return select(one.run).where(one.met) if one.counted is None else one.counted


def _pays(tx: Tx, few: int, wanted: int) -> bool:
    """Return whether looking up a few runs costs less than walking until enough are found.

    Walked are about ``wanted * all / few``; so it pays if all are at least ``few * few / wanted``.
    """
    least = few * few // wanted
    return least < SURELY or _all_runs(tx) >= least


def _all_runs(tx: Tx) -> float:
    """Return about how many runs there are; counting them would cost more than it saves."""
    if tx.dialect == "postgresql":
        kept = plain_table("pg_class")
        own = literal_column("oid") == literal_column("'runs'::regclass")
        found = tx.all(select(literal_column("reltuples")).select_from(kept).where(own))[0][0]
        return float("inf") if found < 0 else float(found)  # below 0: it never looked
    newest = func.max(literal_column("runs.rowid", Integer))
    return float(tx.all(select(newest).select_from(runs))[0][0] or 0)


def _driver(one: Condition, dialect: str) -> _Driver | None:
    """Return where an index gives the runs that meet a condition, or None."""
    if one.kind == "run" and one.key not in AS_TAGS:
        if one.key not in ("id", "parent", "started") or one.op not in _INDEXED:
            return None
        return _Driver(runs, runs.c.id, value_meets(COLUMNS[one.key], one, dialect), one)
    if one.op not in _INDEXED:
        return None
    if one.kind == "dataset":
        return _dataset_driver(one, dialect)
    table, key = table_of(one)
    driving = table.alias("driving")
    value = driving.c.value
    if table is metrics:
        met: ColumnElement[bool] | None = value_meets(value, one, dialect)
    else:
        met = _text_met(value, one, dialect)
    return (
        None
        if met is None
        else _Driver(driving, driving.c.run, and_(driving.c.key == key, met), one)
    )


def _dataset_driver(one: Condition, dialect: str) -> _Driver | None:
    if one.key == "context":
        return None
    read = select(run_datasets.c.run).join(datasets, run_datasets.c.dataset == datasets.c.id)
    read = read.where(value_meets(datasets.c[one.key], one, dialect))
    # Once each, though a run may read a dataset twice.
    driving = read.distinct().subquery("driving")
    return _Driver(driving, driving.c.run, true(), one, counted=read)


_INDEXED = ("=", "<", "<=", ">", ">=", "in", "nan")


def _text_met(
    column: ColumnElement[Any], one: Condition, dialect: str
) -> ColumnElement[bool] | None:
    """Return a condition on params or tags as their index knows them, or None if it cannot."""
    wanted = one.value if isinstance(one.value, list) else [one.value]
    if len(wanted) > _MOST_DRIVING:
        return None
    reads, head = number_of(column), head_of(column)
    if isinstance(wanted[0], str):
        texts = [str(text) for text in wanted]
        if any(len(text) >= HEAD for text in texts):
            return None
        # ``column = text`` beside it would make SQLite put the text into the expressions.
        numbers = [(number_in(text), text) for text in texts]
        return or_(
            *(and_(reads.is_(None) if n is None else reads == n, head == t) for n, t in numbers)
        )
    # One float to either side: a text of 17 digits may be read as its neighbour.
    floats = [float(value or 0.0) for value in wanted]
    near = [(nextafter(x, -inf), x, nextafter(x, inf)) for x in floats]
    low, _, high = near[0]
    bound = {
        "in": reads.in_([x for three in near for x in three]),
        "=": and_(reads >= low, reads <= high),
        "<": reads <= high,
        "<=": reads <= high,
        ">": reads >= low,
        ">=": reads >= low,
    }[one.op]
    return and_(bound, value_meets(column, one, dialect))
