"""How a param or tag reads, in SQL: as a number, and by its first characters. Both are indexed.

A text reads as a number if it is at most 40 characters of ``[+-]digits[.digits][e[+-]digits]``
with spaces around it and at most three digits in the exponent; ``nan``, ``inf``, ``0x10`` and
``1_000`` are texts.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Float, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

HEAD = 200  #: characters of a text that are ordered by, and stand in the index
_FORM = re.compile(
    r"[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*", re.ASCII
)
_FAR = re.compile(r"[eE].*\d{4}", re.ASCII | re.DOTALL)


def number_in(text: str) -> float | None:
    """Return the number that a text reads as, or None.

    >>> number_in("1e-3"), number_in("12 trees"), number_in("nan")
    (0.001, None, None)
    """
    if len(text) > 40 or _FORM.fullmatch(text) is None or _FAR.search(text):
        return None
    number = float(text)
    return number if abs(number) != float("inf") else None


class NumberIn(FunctionElement[float]):
    """The number that a text column reads as, or NULL."""

    type = Float()
    inherit_cache = True
    name = "number_in"


# SQLite: a comparison with a REAL makes a number of a text that reads as one, and of no other;
# texts are above every number. So "below infinity" asks whether it reads as one.
@compiles(NumberIn)
def _on_sqlite(element: NumberIn, compiler: Any, **more: Any) -> str:
    text = compiler.process(element.clauses, **more)
    return (
        f"CASE WHEN length({text}) <= 40 AND {text} < CAST(9e999 AS REAL)"
        f" AND {text} > CAST(-9e999 AS REAL)"
        f" AND NOT ({text} GLOB '*[eE]*[0-9][0-9][0-9][0-9]*')"
        f" THEN CAST({text} AS REAL) END"
    )


# PostgreSQL raises for what it cannot cast, so it is asked only for what it can.
@compiles(NumberIn, "postgresql")
def _on_postgresql(element: NumberIn, compiler: Any, **more: Any) -> str:
    text = compiler.process(element.clauses, **more)
    blank = r"[ \t\n\v\f\r]*"
    form = rf"^{blank}[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?{blank}$"
    number = f"btrim({text}, E' \\t\\n\\x0b\\f\\r')::numeric"
    return (
        f"(CASE WHEN length({text}) <= 40 AND {text} ~ '{form}'"
        f" AND {text} !~ '[eE].*[0-9][0-9][0-9][0-9]' THEN"
        f" CASE WHEN abs({number}) < 3e-324 THEN 0.0::float8"
        f" WHEN abs({number}) < 1.7976931348623158e308 THEN {number}::float8 END END)"
    )


class HeadOf(FunctionElement[str]):
    """The first characters of a text column, in the order of code points."""

    type = Text()
    inherit_cache = True
    name = "head_of"


class InOrder(FunctionElement[str]):
    """A text column in the order of code points, whatever the database's language."""

    type = Text()
    inherit_cache = True
    name = "in_order"


# The numbers are written out, or the index of the same expression would not be recognised.
@compiles(HeadOf)
def _head(element: HeadOf, compiler: Any, **more: Any) -> str:
    text = f"substr({compiler.process(element.clauses, **more)}, 1, {HEAD})"
    return f'{text} COLLATE "C"' if compiler.dialect.name == "postgresql" else text


@compiles(InOrder)
def _in_order(element: InOrder, compiler: Any, **more: Any) -> str:
    text = compiler.process(element.clauses, **more)
    return f'{text} COLLATE "C"' if compiler.dialect.name == "postgresql" else text


def number_of(column: ColumnElement[str]) -> ColumnElement[float]:
    """Return, in SQL, the number that a text column reads as."""
    return NumberIn(column)


def head_of(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return, in SQL, the first characters of a text column."""
    return HeadOf(column)
