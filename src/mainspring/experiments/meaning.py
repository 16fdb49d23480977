"""What a filter means in SQL: for each condition, whether a run meets it. Only true or false.

SQL knows a third answer for what is missing, and ``not`` would turn it into neither; so every
condition here is false where something is missing, and its ``not`` is true.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import inf
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, not_, or_, select, true

from mainspring.experiments import groups
from mainspring.experiments.expressions import (
    AS_TAGS,
    And,
    Condition,
    Expression,
    Not,
    Value,
)
from mainspring.experiments.readings import number_of
from mainspring.experiments.tables import (
    datasets,
    experiments,
    metrics,
    params,
    run_datasets,
    runs,
    tags,
)
from mainspring.ground.errors import BadInputError

TABLES: dict[str, Table] = {"metric": metrics, "param": params, "tag": tags}
COLUMNS: dict[str, ColumnElement[Any]] = {
    **{name: runs.c[name] for name in ("id", "name", "status", "experiment", "pipeline")},
    **{name: runs.c[name] for name in ("parent", "started", "ended")},
    "duration": runs.c.ended - runs.c.started,
}
OF_DATASETS: dict[str, ColumnElement[str]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": run_datasets.c.context,
}
#: Attributes that a run may lack.
OPTIONAL = ("pipeline", "parent", "ended", "duration")

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Asked:
    """Of which run a condition is asked: a column with its id, and whether that is ``runs.id``."""

    def __init__(self, run: ColumnElement[str], dialect: str) -> None:
        self.run = run
        self.dialect = dialect
        self.direct = run is runs.c.id

    def of_run(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return a condition on columns of ``runs``."""
        if self.direct:
            return condition
        return exists().where(runs.c.id == self.run, condition)

    def holds(self, expression: Expression) -> ColumnElement[bool]:
        """Return whether the run meets an expression, each condition of which was checked."""
        if isinstance(expression, Condition):
            return self._condition(expression)
        if isinstance(expression, Not):
            return not_(self.holds(expression.part))
        parts = [self.holds(part) for part in expression.parts]
        if isinstance(expression, And):
            return and_(true(), *parts)
        return or_(*parts)

    def _of_dataset(self, one: Condition) -> ColumnElement[bool]:
        read = run_datasets.join(datasets, run_datasets.c.dataset == datasets.c.id)
        column = OF_DATASETS[one.key]
        there = exists().select_from(read).where(run_datasets.c.run == self.run, column != "")
        if one.op == "null":
            return not_(there)
        return there if one.op == "not null" else there.where(_text(column, one, self.dialect))

    def _condition(self, one: Condition) -> ColumnElement[bool]:
        if one.kind == "run" and one.key not in AS_TAGS:
            return self.of_run(_attribute(one, self.dialect))
        if one.kind == "dataset":
            return self._of_dataset(one)
        table, key = table_of(one)
        there = exists().where(table.c.run == self.run, table.c.key == key)
        if one.op == "null":
            return not_(there)
        if one.op == "not null":
            return there
        return there.where(value_meets(table.c.value, one, self.dialect))


def table_of(one: Condition) -> tuple[Table, str]:
    """Return where a metric, param or tag is kept, and its key there."""
    if one.kind == "run":
        return tags, AS_TAGS[one.key]
    return TABLES[one.kind], one.key


def value_meets(column: ColumnElement[Any], one: Condition, dialect: str) -> ColumnElement[bool]:
    """Return whether a value that is there meets a condition."""
    first = one.value[0] if isinstance(one.value, list) else one.value
    if one.op in ("nan", "not nan"):
        return column.is_(None) if one.op == "nan" else column.is_not(None)
    if isinstance(first, str):
        return _text(column, one, dialect)
    if one.kind in ("param", "tag"):
        return _number_in_text(column, one)
    return _number(column, one.op, one.value)


def _attribute(one: Condition, dialect: str) -> ColumnElement[bool]:
    column = COLUMNS[one.key]
    if one.op == "null":
        return column.is_(None)
    if one.op == "not null":
        return column.is_not(None)
    if one.key == "experiment":
        return _experiment(one, dialect)
    meets = value_meets(column, one, dialect)
    return and_(column.is_not(None), meets) if one.key in OPTIONAL else meets


def _experiment(one: Condition, dialect: str) -> ColumnElement[bool]:
    """An experiment is asked for by its name, and its runs carry its key."""
    if one.op in ("=", "!=", "in", "not in"):
        names = one.value if isinstance(one.value, list) else [one.value]
        keys = [key for key in map(_key_of, names) if key is not None]
        found = runs.c.experiment.in_(keys)
    else:
        named = Condition("run", "name", one.op.removeprefix("not "), one.value)
        wanted = _text(experiments.c.name, named, dialect)
        found = runs.c.experiment.in_(select(experiments.c.key).where(wanted))
    return not_(found) if one.op == "!=" or one.op.startswith("not ") else found


def _key_of(name: object) -> str | None:
    try:
        return groups.key_of_name(str(name))
    except BadInputError:
        return None  # no experiment has such a name


def _number(column: ColumnElement[Any], op: str, value: Value) -> ColumnElement[bool]:
    if isinstance(value, list):
        numbers = [float(one) for one in value]
        return column.in_(numbers) if op == "in" else column.not_in(numbers)
    found: ColumnElement[bool] = _COMPARE[op](column, float(value or 0.0))
    return found


def _number_in_text(column: ColumnElement[Any], one: Condition) -> ColumnElement[bool]:
    number = number_of(column)
    meets = and_(number.is_not(None), _number(number, one.op, one.value))
    values = one.value if isinstance(one.value, list) else [one.value]
    # SQLite may read a text of 17 digits as the float beside it; as text it is the same.
    finite = [
        repr(float(value)) for value in values if value is not None and abs(float(value)) < inf
    ]
    same = column.in_(finite)
    if one.op in ("=", "in", "<=", ">="):
        return or_(meets, same)
    return and_(meets, not_(same))


def _text(column: ColumnElement[Any], one: Condition, dialect: str) -> ColumnElement[bool]:
    if isinstance(one.value, list):
        return column.in_(one.value) if one.op == "in" else column.not_in(one.value)
    value = str(one.value)
    if one.op in ("=", "!="):
        return column == value if one.op == "=" else column != value
    found = _like(column, value, dialect, folded="ilike" in one.op)
    return not_(found) if one.op.startswith("not ") else found


def _like(
    column: ColumnElement[Any], pattern: str, dialect: str, *, folded: bool
) -> ColumnElement[bool]:
    if dialect == "postgresql":
        plain = pattern.replace("\\", "\\\\")
        # By code points only A to Z are folded, as SQLite does, whatever the server's language.
        folds = column.collate("C")
        return folds.ilike(plain) if folded else folds.like(plain)
    if folded:
        return column.like(pattern)
    # SQLite's LIKE does not tell cases apart; its GLOB does.
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return column.op("GLOB", is_comparison=True)("".join(signs.get(c, c) for c in pattern))
