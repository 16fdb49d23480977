"""Check raw values against a signature before a model sees them: exactly, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError, FieldsError, NotExactError, TooLargeError
from mainspring.ground.nearest import meant, nearest
from mainspring.ground.objects import Column, Signature
from mainspring.scaling.models.features import DTYPES, Word

EXACT = 2**53  #: up to here every whole number is a float64
_INT64 = 2**63
_GUESSED = 200  # names that one nobody knows is compared with

Values = npt.NDArray[Any] | list[str | None]


@dataclass(slots=True)  # not frozen, which would cost a microsecond a request; nobody changes it
class Prepared:
    """Rows that passed the check, column by column.

    Numbers are arrays of shape (rows,): float64 for ``float``, int64 for ``int``, bool for
    ``bool``, and float64 with NaN for an ``int`` or ``bool`` column with missing values. Text is
    a list of ``str | None``.
    """

    rows: int
    columns: dict[str, Values]
    types: dict[str, Word]

    def has_missing(self) -> bool:
        """Return whether any value of any row is missing."""
        return any(
            None in values
            if isinstance(values, list)
            else values.dtype.kind == "f" and _first_gap(values) >= 0
            for values in self.columns.values()
        )

    def frame(self) -> pl.DataFrame:
        """Return the rows as a polars frame of the signature's types, missing values null."""
        return pl.DataFrame(
            [series(name, self.types[name], values) for name, values in self.columns.items()]
        )


def series(name: str, kind: str, values: Values) -> pl.Series:
    """Return one column as polars keeps it: the type of the signature, NaN as null."""
    out = pl.Series(name, values, dtype=pl.String if kind == "str" else None)
    if kind != "str" and out.dtype.is_float():
        out = out.fill_nan(None)
    return out.cast(DTYPES[kind])


def check(columns: Mapping[str, Sequence[Any] | Values], signature: Signature) -> Prepared:
    """Return rows ready to be scored: every column there, of its type, none too many.

    ``columns`` are lists of plain values or arrays, by name. Missing is None or NaN and allowed
    only where the column is nullable. A ``float`` takes whole numbers up to 2**53, an ``int``
    takes decimals without a fraction; nothing else changes its type.

    Raises:
        BadInputError: naming the column, the row (from 0) and what was found; a FieldsError where
            several columns are wrong.
        NotExactError: for a number that the column's type cannot hold exactly.
    """
    wrong, more = _unknown(columns, signature)
    rows = -1
    out: dict[str, Values] = {}
    types: dict[str, Word] = {}
    for column in signature.columns:
        name = column.name
        types[name] = column.type
        try:
            values = _given(columns, name, rows)
            rows = len(values)
            out[name] = _column(column, values)
        except BadInputError as error:
            wrong.append(error)
    if wrong:
        raise wrong[0] if len(wrong) == 1 else FieldsError.of(wrong, more)
    return Prepared(max(rows, 0), out, types)


def _given(columns: Mapping[str, Any], name: str, rows: int) -> Any:
    if name not in columns:
        raise BadInputError(f"Column {name!r} is missing.", field=name)
    values = columns[name]
    if rows not in (-1, len(values)):
        raise BadInputError(
            f"Column {name!r} has {len(values)} rows, the columns before it have {rows}.",
            field=name,
        )
    return values


def _unknown(columns: Mapping[str, Any], signature: Signature) -> tuple[list[BadInputError], int]:
    """Return a complaint of columns that the model does not take, and how many more there are."""
    names = {column.name for column in signature.columns}
    if names >= columns.keys():
        return [], 0
    strange = [str(name)[:80] for name in columns if name not in names]
    # One that is missing is meant sooner than one that is there.
    free, every = sorted(names - columns.keys())[:_GUESSED], sorted(names)[:_GUESSED]
    told = [
        BadInputError(
            f"Unknown column {name!r}.",
            field=name,
            hint=meant(name, free if nearest(name, free) else every),
        )
        for name in strange[: FieldsError.MOST]
    ]
    return told, len(strange) - len(told)


def check_frame(frame: pl.DataFrame, signature: Signature) -> Prepared:
    """Return the rows of a polars frame ready to be scored; further columns are left aside.

    Raises:
        BadInputError, NotExactError: as :func:`check`.
    """
    wanted = [column.name for column in signature.columns if column.name in frame.columns]
    return check({name: plain(frame[name]) for name in wanted}, signature)


def plain(values: pl.Series) -> Any:
    """Return a series as an array where that says it all, else as a list."""
    if values.dtype.is_float():
        return values.cast(pl.Float64).to_numpy()
    if values.dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String).to_list()
    if values.null_count() == 0 and (values.dtype.is_integer() or values.dtype == pl.Boolean):
        return values.to_numpy()
    return values.to_list()


def event_times(values: Sequence[Any] | npt.NDArray[Any], field: str) -> npt.NDArray[np.float64]:
    """Return event times in UTC seconds from numbers or ISO texts.

    A text without an offset is UTC.

    Raises:
        BadInputError: naming the row, for anything else.
    """
    out = np.empty(len(values))
    for row, value in enumerate(values.tolist() if isinstance(values, np.ndarray) else values):
        out[row] = _seconds(value, row, field)
    return out


def _seconds(value: Any, row: int, field: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:
        return float(value)
    if isinstance(value, str) and len(value) < 64:
        from datetime import UTC, datetime

        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    raise _refused(field, row, value, "UTC seconds or an ISO 8601 time")


def _column(column: Column, values: Sequence[Any] | Values) -> Values:
    if isinstance(values, np.ndarray):
        ready = _array(column, values)
        if ready is not None:
            return ready
        each: Sequence[Any] = values.tolist()
    else:
        each = values
    out = _CHECKS[column.type](column, each)
    if not column.nullable:
        _no_missing(column, out)
    return out


def _array(column: Column, values: npt.NDArray[Any]) -> Values | None:
    """Return an array that needs no look at single values, or None."""
    if values.ndim != 1:
        raise BadInputError(
            f"Column {column.name!r} has shape {values.shape}, wanted one value a row.",
            field=column.name,
        )
    kind = values.dtype.kind
    if column.type == "float" and kind == "f":
        out = values.astype(np.float64, copy=False)
        if np.isinf(out).any():
            row = int(np.isinf(out).argmax())
            raise _refused(column.name, row, float(out[row]), "a finite number")
        if not column.nullable:
            _no_missing(column, out)
        return out
    if column.type == "int" and values.dtype == np.int64:
        return values
    if column.type == "bool" and kind == "b":
        return values
    return _whole(column, values)


def _whole(column: Column, values: npt.NDArray[Any]) -> Values | None:
    """Return whole numbers of another width, or as decimals, if they all fit; else None.

    Those that do not are looked at one by one, to name the first.
    """
    if values.dtype.kind in "iu" and column.type in ("int", "float"):
        if column.type == "int" and (values.dtype != np.uint64 or not values.size):
            return values.astype(np.int64)
        # 53 bits fit either type exactly.
        if not values.size or (values.max() <= EXACT and values.min() >= -EXACT):
            return values.astype(np.int64 if column.type == "int" else np.float64)
    if values.dtype.kind == "f" and column.type == "int":
        wide = values.astype(np.float64)
        with np.errstate(invalid="ignore"):
            whole = wide.astype(np.int64)
        if (whole == wide).all() and (np.abs(wide) <= EXACT).all():
            return whole
    return None


def _floats(column: Column, values: Sequence[Any]) -> Values:
    kinds = set(map(type, values))
    if not kinds <= {float}:
        values = [_float(column.name, row, value) for row, value in enumerate(values)]
    out = np.array(values, dtype=np.float64)
    if len(values) and not math.isfinite(_sum(out)) and np.isinf(out).any():
        row = int(np.isinf(out).argmax())
        raise _refused(column.name, row, values[row], "a finite number")
    return out


def _float(name: str, row: int, value: Any) -> float:
    if type(value) is float:
        return value
    if value is None:
        return math.nan
    if type(value) is int:
        if -EXACT <= value <= EXACT:
            return float(value)
        raise _inexact(name, row, value, "a decimal number")
    raise _refused(name, row, value, "a number")


def _ints(column: Column, values: Sequence[Any]) -> Values:
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            pass  # the loop below says which row it was
    whole = [_int(column.name, row, value) for row, value in enumerate(values)]
    if None not in whole:
        return np.array(whole, dtype=np.int64)
    for row, value in enumerate(whole):
        if value is not None and abs(value) > EXACT:
            raise _inexact(column.name, row, value, "a column with missing values")
    return np.array([math.nan if value is None else value for value in whole], dtype=np.float64)


def _int(name: str, row: int, value: Any) -> int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    if type(value) is not int:
        raise _refused(name, row, value, "a whole number")
    if not -_INT64 <= value < _INT64:
        raise _inexact(name, row, value, "a 64-bit whole number")
    return value


def _texts(column: Column, values: Sequence[Any]) -> Values:
    if not set(map(type, values)) <= {str, type(None)}:
        for row, value in enumerate(values):
            if value is not None and type(value) is not str:
                raise _refused(column.name, row, value, "a text")
    return list(values)


def _bools(column: Column, values: Sequence[Any]) -> Values:
    kinds = set(map(type, values))
    if kinds <= {bool}:
        return np.array(values, dtype=np.bool_)
    for row, value in enumerate(values):
        if value is not None and type(value) is not bool:
            raise _refused(column.name, row, value, "true or false")
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


_CHECKS: dict[str, Callable[[Column, Sequence[Any]], Values]] = {
    "float": _floats,
    "int": _ints,
    "str": _texts,
    "bool": _bools,
}


def _sum(values: npt.NDArray[Any]) -> float:
    """Return a sum, which is NaN if a value is; of huge values it may be that or inf as well."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.sum())


def _first_gap(values: npt.NDArray[Any]) -> int:
    """Return the first row whose number is missing, or -1."""
    if len(values) == 1:
        return 0 if values[0] != values[0] else -1
    # A sum is NaN as soon as one value is; cheaper than looking at each for a few rows.
    if not math.isnan(_sum(values)):
        return -1
    gaps = np.isnan(values)
    return int(gaps.argmax()) if gaps.any() else -1


def _no_missing(column: Column, values: Values) -> None:
    if isinstance(values, list):
        row = values.index(None) if None in values else -1
    elif values.dtype.kind == "f":
        row = _first_gap(values)
    else:
        row = -1
    if row >= 0:
        raise BadInputError(
            f"Column {column.name!r} is missing in row {row}, and the model cannot score rows"
            " without it.",
            field=column.name,
        )


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a huge number"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refused(name: str, row: int, value: Any, wanted: str) -> BadInputError:
    return BadInputError(
        f"Column {name!r}, row {row}: wanted {wanted}, found {_shown(value)}"
        f" ({type(value).__name__}).",
        field=name,
    )


def _inexact(name: str, row: int, value: int, wanted: str) -> NotExactError:
    return NotExactError(
        f"Column {name!r}, row {row}: {_shown(value)} cannot be held exactly by {wanted}.",
        field=name,
    )


def check_rows(rows: int, most: int) -> None:
    """Refuse a request of more rows than its budget.

    Raises:
        TooLargeError: naming both figures.
    """
    if rows > most:
        raise TooLargeError(f"The request has {rows} rows; at most {most} are taken at once.")
