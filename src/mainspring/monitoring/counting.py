"""Count what breaks a contract: column by column, and row by row for its rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.contracts import Expect
from mainspring.ground.errors import BadInputError
from mainspring.monitoring.profiling import read_times, seconds, text_hashes
from mainspring.numerics import distinct
from mainspring.numerics.contracts import Counted

#: Values whose hashes are kept to see whether one comes twice: 8 bytes each.
MOST_HASHES = 50_000_000
_EXAMPLES = 3

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_YES, _NO = ("true", "True", "TRUE"), ("false", "False", "FALSE")


class Column:
    """What was counted of one column so far."""

    def __init__(self, name: str, expect: Expect, *, before: int = 0) -> None:
        self.name, self.expect = name, expect
        self._rows = self._missing = before
        self._counts = dict.fromkeys(("wrong", "outside", "unseen", "unmatched"), 0)
        self._examples: dict[str, list[Any]] = {name: [] for name in (*self._counts, "repeated")}
        self._low: float | None = None
        self._high: float | None = None
        self._hashes: list[distinct.Hashes] | None = [] if expect.unique else None
        self._ranged = (expect.low, expect.high) != (None, None)

    def skip(self, rows: int) -> None:
        """Count rows that do not have the column."""
        self._rows += rows
        self._missing += rows

    def add(self, column: pl.Series) -> pl.Series:
        """Count a column's values, and return them in the wanted type; others are null."""
        if column.dtype.is_float():
            column = column.fill_nan(None)
        self._rows += column.len()
        self._missing += column.null_count()
        typed = as_wanted(column, self.expect.type)
        if typed.null_count() > column.null_count():
            self._note("wrong", column.filter(typed.is_null() & column.is_not_null()))
        here = typed.drop_nulls()
        if here.len() == 0:
            return typed
        if self._ranged or self.expect.newest_within_s is not None:
            self._range(here)
        if self.expect.allowed is not None:
            self._domain(here, self.expect.allowed)
        if self.expect.pattern is not None:
            texts = _as_text(here)
            self._note("unmatched", texts.filter(~texts.str.contains(
                f"^(?:{self.expect.pattern})$")))  # fmt: skip
        if self._hashes is not None:
            self._unique(here)
        return typed

    def counted(self) -> Counted:
        """Return what was counted."""
        expect, counts = self.expect, self._counts
        return Counted(
            name=self.name,
            rows=self._rows,
            missing=self._missing,
            wrong=counts["wrong"] if expect.type is not None else None,
            wrong_values=self._examples["wrong"],
            outside=counts["outside"] if self._ranged else None,
            low=self._low,
            high=self._high,
            unseen=counts["unseen"] if expect.allowed is not None else None,
            unseen_values=self._examples["unseen"],
            unmatched=counts["unmatched"] if expect.pattern is not None else None,
            unmatched_values=self._examples["unmatched"],
            repeats=self._repeats(),
            repeated_values=self._examples["repeated"],
            newest=self._high if expect.newest_within_s is not None else None,
        )

    def _note(self, what: str, values: pl.Series) -> None:
        if values.len():
            self._counts[what] += values.len()
            self._example(what, values)

    def _example(self, what: str, values: pl.Series) -> None:
        known = self._examples[what]
        if len(known) < _EXAMPLES and values.len():
            new = values.head(1_000).unique(maintain_order=True).to_list()
            known += [value for value in new if value not in known][: _EXAMPLES - len(known)]

    def _range(self, here: pl.Series) -> None:
        numbers = _numbers(here)
        if numbers is None:
            self._counts["outside"] += here.len() if self._ranged else 0
            return
        low, high = float(numbers.min()), float(numbers.max())
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)
        outside = 0
        if self.expect.low is not None and low < self.expect.low:
            outside += int((numbers < self.expect.low).sum())
        if self.expect.high is not None and high > self.expect.high:
            outside += int((numbers > self.expect.high).sum())
        self._counts["outside"] += outside

    def _domain(self, here: pl.Series, allowed: list[str]) -> None:
        if here.dtype.is_numeric():
            known = [value for value in map(_number, allowed) if value is not None]
            self._note("unseen", here.filter(~here.cast(pl.Float64).is_in(known)))
            return
        texts = _as_text(here)
        self._note("unseen", texts.filter(~texts.is_in(allowed)))

    def _unique(self, here: pl.Series) -> None:
        assert self._hashes is not None  # noqa: S101  asked by add
        numbers = None if here.dtype in _TEXT or here.dtype == pl.Boolean else here
        if numbers is not None and numbers.dtype.is_temporal():
            numbers = numbers.to_physical()
        if numbers is not None and numbers.dtype.is_numeric():
            self._hashes.append(distinct.hash_numbers(numbers.to_numpy()))
        else:
            self._hashes.append(text_hashes(_as_text(here)))
        self._example("repeated", here.filter(here.is_duplicated()))
        if sum(part.size for part in self._hashes) > MOST_HASHES:
            self._hashes = None

    def _repeats(self) -> int | None:
        if not self.expect.unique:
            return 0
        if self._hashes is None:
            return None
        if not self._hashes:
            return 0
        whole = np.concatenate(self._hashes)
        return int(whole.size - np.unique(whole).size)


class Rule:
    """An SQL expression over the columns of one row, that shall be true.

    Raises:
        BadInputError: if it cannot be read.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.broken = 0
        self.why = ""  #: it could not be asked
        self.examples: list[str] = []
        try:
            self._expression = pl.sql_expr(text)
            self._roots = set(self._expression.meta.root_names())
        except pl.exceptions.PolarsError as error:
            told = str(error).strip().partition("\n")[0]
            raise BadInputError(
                f"Rule {name!r} = {text!r} cannot be read: {told}", field=name
            ) from error
        if not self._roots:
            raise BadInputError(f"Rule {name!r} = {text!r} reads no column.", field=name)

    def add(self, frame: pl.DataFrame, before: int) -> None:
        """Count the rows that break it; ``before`` rows were counted already."""
        if self.why:
            return
        lacking = sorted(self._roots - set(frame.columns))
        if lacking:
            self.why = f"there is no column {lacking[0]!r}"
            return
        try:
            kept = frame.select(self._expression.alias("kept"))["kept"]
            if kept.dtype == pl.Null:
                return
            if kept.dtype != pl.Boolean or kept.len() != frame.height:
                self.why = f"it gives {kept.dtype}, not true or false for each row"
                return
        except pl.exceptions.PolarsError as error:
            self.why = str(error).strip().partition("\n")[0][:200]
            return
        rows = (~kept).fill_null(value=False).arg_true()
        self.broken += rows.len()
        self.examples += [f"row {before + row + 1:,}" for row in rows.head(
            _EXAMPLES - len(self.examples))]  # fmt: skip


def as_wanted(column: pl.Series, kind: str | None) -> pl.Series:
    """Return a column's values in the wanted type; what is of another is null."""
    text = column.dtype in _TEXT
    column = column.cast(pl.String) if text else column
    if kind in (None, "Unknown") or column.dtype == pl.Null:
        return column
    none = pl.Series(column.name, [None] * column.len(), pl.String)
    if kind == "String":
        return column if text else none
    if kind == "Boolean":
        return _booleans(column, none.cast(pl.Boolean))
    if kind == "Time":
        other = column if column.dtype.is_temporal() or column.dtype.is_numeric() else none
        return read_times(column) if text else other
    return _as_numbers(column, none.cast(pl.Float64), whole=kind == "Integral")


def _booleans(column: pl.Series, none: pl.Series) -> pl.Series:
    if column.dtype not in _TEXT:
        return column if column.dtype == pl.Boolean else none
    known = column.is_in([*_YES, *_NO]).fill_null(value=False)
    return column.is_in(_YES).zip_with(known, none)


def _as_numbers(column: pl.Series, none: pl.Series, *, whole: bool) -> pl.Series:
    text = column.dtype in _TEXT
    if not text and not column.dtype.is_numeric():
        return none
    numbers = column.cast(pl.Float64, strict=False) if text else column
    if whole and not numbers.dtype.is_integer():
        floats = numbers.cast(pl.Float64)
        broken = (floats.is_nan() | (floats != floats.floor())).fill_null(value=True)
        numbers = floats.zip_with(~broken, none)
    return numbers.fill_nan(None) if numbers.dtype.is_float() else numbers


def _numbers(here: pl.Series) -> Any:
    """Return values as numbers, times as UTC seconds; None if they are neither."""
    if here.dtype.is_numeric():
        return here.to_numpy()
    if here.dtype.is_temporal() and here.dtype not in (pl.Duration, pl.Time):
        return seconds(here)
    if here.dtype in _TEXT:
        read = here.cast(pl.String).cast(pl.Float64, strict=False)
        return None if read.null_count() else read.to_numpy()
    return None


def _as_text(here: pl.Series) -> pl.Series:
    """Return values by the name that a profile gives them."""
    if here.dtype == pl.Boolean:
        return pl.select(pl.when(here).then(pl.lit("true")).otherwise(pl.lit("false"))).to_series()
    return here.cast(pl.String, strict=False).fill_null("")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
