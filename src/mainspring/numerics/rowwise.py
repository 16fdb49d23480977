"""Ask single rows what a contract asks of each: a few tenths of a microsecond a value.

A request is a handful of rows, so a share cannot be told of it. What a contract allows no value
to break can be refused; what it allows a share to break can only be counted. Types, gaps,
ranges and domains are asked; patterns, uniqueness, freshness and rules between columns are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainspring.ground.contracts import Contract, Expect

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Broken:
    """Values of one column that break one check: how many, and the first of them."""

    column: str
    check: str
    count: int
    row: int
    value: Any
    wanted: str
    strict: bool  #: the contract allows no such value at all

    @property
    def sentence(self) -> str:
        """Return it in words."""
        shown = repr(self.value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        return (
            f"Column {self.column!r}, row {self.row}, breaks the model's contract:"
            f" {self.check}, found {shown}, wanted {self.wanted}."
        )


@dataclass(frozen=True, slots=True)
class _Check:
    column: str
    check: str
    breaks: Test
    wanted: str
    strict: bool


class RowChecks:
    """What a contract asks of single rows, made once and asked of every request.

    Example:
        >>> checks = RowChecks(Contract(columns={"x": Expect(low=0, high=9)}), ["x"])
        >>> checks.broken({"x": [1.0, 12.0]})[0].sentence
        "Column 'x', row 1, breaks the model's contract: range, found 12.0, wanted 0 to 9."
    """

    def __init__(self, contract: Contract, columns: Sequence[str]) -> None:
        self.refuses = contract.serving == "refuse"
        self._checks = [
            check
            for name, expect in contract.columns.items()
            if name in columns
            for check in _checks(name, expect)
        ]

    def __bool__(self) -> bool:
        return bool(self._checks)

    def broken(self, columns: Mapping[str, Any]) -> list[Broken]:
        """Return what the values of a request break; a column is a list or an array."""
        found = []
        for one in self._checks:
            values = columns.get(one.column)
            if values is None:
                continue
            plain = values.tolist() if isinstance(values, np.ndarray) else values
            breaks = one.breaks
            bad = [row for row, value in enumerate(plain) if breaks(value)]
            if bad:
                told = (bad[0], plain[bad[0]], one.wanted, one.strict)
                found.append(Broken(one.column, one.check, len(bad), *told))
        return found


def _checks(name: str, expect: Expect) -> list[_Check]:
    found = []
    if expect.completeness == 1.0:
        found.append(_Check(name, "completeness", _is_missing, "a value", True))
    if expect.type == "Integral":
        found.append(_Check(name, "type", _is_broken, "a whole number", expect.wrong == 0))
    low, high = expect.low, expect.high
    if expect.type != "Time" and (low, high) != (None, None):
        found.append(
            _Check(name, "range", _outside(low, high), _range(low, high), expect.outside == 0)
        )
    if expect.allowed is not None:
        shown = ", ".join(map(repr, expect.allowed[:3]))
        more = f" and {len(expect.allowed) - 3} more" if len(expect.allowed) > 3 else ""
        found.append(
            _Check(
                name,
                "domain",
                _unseen(expect.allowed),
                f"one of {shown}{more}",
                expect.unseen == 0,
            )
        )
    return found


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _is_broken(value: Any) -> bool:
    # Infinities are refused before; NaN is a gap.
    return isinstance(value, float) and value == value and not value.is_integer()


def _outside(low: float | None, high: float | None) -> Test:
    least = -np.inf if low is None else low
    most = np.inf if high is None else high

    def test(value: Any) -> bool:
        return value is not None and (value < least or value > most)

    return test


def _unseen(allowed: Sequence[str]) -> Test:
    known: set[Any] = set(allowed)
    for text in allowed:
        if text in ("true", "false"):
            known.add(text == "true")
        else:
            try:
                known.add(float(text))
            except ValueError:
                continue

    def test(value: Any) -> bool:
        return value is not None and value not in known and value == value

    return test


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
