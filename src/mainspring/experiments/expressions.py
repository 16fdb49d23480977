"""What a filter says, as a tree: conditions joined by and, or, not; and orders beside it.

The tree is what finding works on. Our own language (:mod:`filters`) and others make it, and
:func:`written` gives it back as text that parses to the same tree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from mainspring.experiments.reserved import GROUP, USER
from mainspring.ground.errors import BadInputError

Kind = Literal["run", "metric", "param", "tag", "dataset"]
Value = str | float | list[str] | list[float] | None

#: What a run has besides params, metrics, tags and datasets: as texts, and as numbers.
TEXTS = ("id", "name", "status", "experiment", "pipeline", "parent", "group", "user")
NUMBERS = ("started", "ended", "duration")
OF_DATASETS = ("name", "digest", "context")
#: The attributes that are kept as tags.
AS_TAGS = {"group": GROUP, "user": USER}

NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
TEXTUAL = ("=", "!=", "like", "not like", "ilike", "not ilike")
LISTS = ("in", "not in")
NULLS = ("null", "not null")
NANS = ("nan", "not nan")

MOST_WANTED = 1000  #: values in a list
MOST_PATTERN, MOST_WILD = 1000, 8
_PLAIN_KEY = re.compile(r"[\w\-/:@%+]+(?:\.[\w\-/:@%+]+)*")
_ENTITIES = {"metric": "metrics", "param": "params", "tag": "tags", "dataset": "datasets"}


class Condition(msgspec.Struct, frozen=True):
    """What must hold of a run.

    A run without the metric, param, tag or dataset meets ``null`` and nothing else. NaN meets
    ``not null`` and ``nan`` and nothing else.
    """

    kind: Kind
    key: str  #: of a metric, param or tag; or one of TEXTS, NUMBERS, OF_DATASETS
    #: = != < <= > >= for numbers; = != like, not like, ilike, not ilike for texts; in, not in;
    #: null, not null; nan, not nan for metrics. Params and tags are both: a number is compared
    #: with what reads as one.
    op: str
    value: Value = None


class And(msgspec.Struct, frozen=True):
    """Every part must hold; of no parts, anything does."""

    parts: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one part must hold."""

    parts: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True):
    """The part must not hold: what lacks a metric does not meet ``> 0.9``, so it meets its not."""

    part: Expression


Expression = Condition | And | Or | Not
EVERYTHING = And(())


class Order(msgspec.Struct, frozen=True):
    """By what runs are ordered. Those that lack it come last, NaN right before them.

    Params and tags are ordered as numbers where they read as such, then as texts by their first
    200 characters; ``textual`` orders all of them as texts.
    """

    kind: Kind
    key: str
    ascending: bool = True
    textual: bool = False


def conditions_in(expression: Expression) -> list[Condition]:
    """Return every condition of a tree, from left to right."""
    if isinstance(expression, Condition):
        return [expression]
    if isinstance(expression, Not):
        return conditions_in(expression.part)
    return [one for part in expression.parts for one in conditions_in(part)]


def why_not(one: Condition) -> str | None:
    """Return what is wrong with a condition, in words, or None."""
    if (wrong := _key_wrong(one)) or one.op in NULLS:
        return wrong
    if one.op in NANS:
        return None if one.kind == "metric" else f"only a metric can be NaN, {one.key} cannot"
    wanted = one.value if isinstance(one.value, list) else [one.value]
    if isinstance(one.value, list) != (one.op in LISTS) or not 0 < len(wanted) <= MOST_WANTED:
        list_of = f"a list of 1 to {MOST_WANTED} values in parentheses"
        return f"{one.op} takes {list_of if one.op in LISTS else 'one value'}"
    if all(isinstance(value, str) for value in wanted):
        return _text_wrong(one)
    if all(isinstance(value, int | float) for value in wanted):
        return _number_wrong(one, wanted)
    return f"{one.key} is compared with a value, or with a list of one kind of values"


def check(one: Condition) -> Condition:
    """Return a condition that makes sense.

    Raises:
        BadInputError: saying why it does not.
    """
    if wrong := why_not(one):
        raise BadInputError(f"{wrong[0].upper()}{wrong[1:]}.", field="filter")
    return one


def written(expression: Expression) -> str:
    """Return a tree in our filter language.

    >>> written(And((Condition("metric", "auc", ">", 0.9), Condition("param", "C", "!=", "1"))))
    "metrics.auc > 0.9 and params.C != '1'"
    """
    if isinstance(expression, Condition):
        return _condition(expression)
    if isinstance(expression, Not):
        return f"not {_grouped(expression.part)}"
    word = " and " if isinstance(expression, And) else " or "
    return word.join(_grouped(part) for part in expression.parts)


def column(kind: Kind, key: str) -> str:
    """Return how a filter names a metric, param, tag or attribute.

    >>> column("metric", "val loss"), column("run", "started")
    ('metrics.`val loss`', 'started')
    """
    if kind == "run":
        return key
    doubled = key.replace("`", "``")
    return f"{_ENTITIES[kind]}.{key if _PLAIN_KEY.fullmatch(key) else f'`{doubled}`'}"


def _key_wrong(one: Condition) -> str | None:
    if one.kind == "run" and one.key not in TEXTS + NUMBERS:
        return f"a run has no {one.key[:80]!r}; it has {', '.join(TEXTS + NUMBERS)}"
    if one.kind == "dataset" and one.key not in OF_DATASETS:
        return f"a dataset has no {one.key[:80]!r}; it has {', '.join(OF_DATASETS)}"
    return None


def _text_wrong(one: Condition) -> str | None:
    number = one.kind == "metric" or (one.kind == "run" and one.key in NUMBERS)
    if number:
        return f"{one.key} is a number, and is compared with a number"
    if one.op not in TEXTUAL + LISTS:
        return f"texts are not compared by {one.op}; {one.key} is by {', '.join(TEXTUAL + LISTS)}"
    # Every wildcard multiplies the ways to match, so they are few.
    pattern = one.value if "like" in one.op and isinstance(one.value, str) else ""
    if len(pattern) > MOST_PATTERN or pattern.count("%") > MOST_WILD:
        return f"a pattern has at most {MOST_PATTERN} characters and {MOST_WILD} of %"
    return None


def _number_wrong(one: Condition, wanted: Sequence[object]) -> str | None:
    if one.kind == "dataset" or (one.kind == "run" and one.key in TEXTS):
        return f"{one.key} is text, and is compared with text in quotes"
    if one.op not in NUMERIC + LISTS:
        return f"numbers are not compared by {one.op}; {one.key} is by {', '.join(NUMERIC)} or in"
    if any(isinstance(value, float) and math.isnan(value) for value in wanted):
        return "nothing equals NaN; ask by is nan"
    return None


def _grouped(expression: Expression) -> str:
    text = written(expression)
    return f"({text})" if isinstance(expression, And | Or) else text


def _condition(one: Condition) -> str:
    name = column(one.kind, one.key)
    if one.op in NULLS + NANS:
        return f"{name} is {one.op}"
    if isinstance(one.value, list):
        return f"{name} {one.op} ({', '.join(_value(value) for value in one.value)})"
    return f"{name} {one.op} {_value(one.value)}"


def _value(value: str | float | None) -> str:
    if isinstance(value, str):
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    return repr(value)
