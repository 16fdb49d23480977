"""Check one row whose values are just what their columns want, in a few microseconds.

Most requests are one such row. Anything else (another count of rows, a value to be looked at
more closely, a name too many) is left to :func:`mainspring.scaling.models.check.check`, which
gives the same result, or says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mainspring.ground.objects import Signature
from mainspring.scaling.models.check import EXACT, Prepared, Values

_INT64 = 2**63
_CLOSER: Any = object()  #: the value needs a closer look


class OneRow:
    """The check of one signature, made once.

    Numbers of one type share an array, of which each column is a view: one array is made instead
    of one a column.
    """

    def __init__(self, signature: Signature) -> None:
        self._types = {column.name: column.type for column in signature.columns}
        self._plan = [
            (column.name, *_READ[column.type], column.nullable) for column in signature.columns
        ]
        self._all_float = set(self._types.values()) == {"float"}
        self._names = list(self._types)

    def check(self, columns: Mapping[str, Any]) -> Prepared | None:
        """Return the row ready to be scored, or None where a closer look is needed."""
        if len(columns) != len(self._plan):
            return None
        found: tuple[list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [])
        for name, place, read, nullable in self._plan:
            values = columns.get(name)
            if type(values) is not list or len(values) != 1:
                return None
            value = read(values[0], nullable)
            if value is _CLOSER:
                return None
            found[place].append(value)
        return Prepared(1, self._columns(found), self._types)

    def _columns(self, found: tuple[list[Any], ...]) -> dict[str, Values]:
        floats = np.array(found[0], dtype=np.float64).reshape(-1, 1)
        if self._all_float:
            return dict(zip(self._names, floats, strict=True))
        turns: tuple[Any, ...] = (
            iter(floats),
            iter(np.array(found[1], dtype=np.int64).reshape(-1, 1)),
            iter(np.array(found[2], dtype=np.bool_).reshape(-1, 1)),
            iter([[text] for text in found[3]]),
        )
        return {name: next(turns[place]) for name, place, *_ in self._plan}


def _float(value: Any, nullable: bool) -> Any:
    if type(value) is float:
        return value if value - value == 0.0 else _CLOSER  # not infinite, not NaN
    if type(value) is int and -EXACT <= value <= EXACT:
        return float(value)
    return math.nan if value is None and nullable else _CLOSER


def _int(value: Any, nullable: bool) -> Any:  # noqa: ARG001
    return value if type(value) is int and -_INT64 <= value < _INT64 else _CLOSER


def _bool(value: Any, nullable: bool) -> Any:  # noqa: ARG001
    return value if type(value) is bool else _CLOSER


def _text(value: Any, nullable: bool) -> Any:
    return value if type(value) is str or (value is None and nullable) else _CLOSER


_READ: dict[str, tuple[int, Callable[[Any, bool], Any]]] = {
    "float": (0, _float),
    "int": (1, _int),
    "bool": (2, _bool),
    "str": (3, _text),
}
