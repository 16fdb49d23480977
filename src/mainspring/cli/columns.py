"""Look at the columns of a user's table: which can be learnt from, and what is wrong."""

from __future__ import annotations

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import nearest
from mainspring.ground.objects import Kind

LEAST_ROWS = 60  # what the first split into training and fresh rows needs
MOST_CLASSES = 50
#: A text column in which this share are numbers is a number column with something wrong in it.
MIXED_SHARE = 0.8
#: Above this a number is no time in seconds but in milliseconds.
LATEST_S = 1e11
EXACT = 2**53  #: up to here a float64 holds every whole number
_RESERVED = ("_id", "_time", "_received", "_version", "_score", "_y", "_other_version")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A table as a project needs to know it."""

    target: str
    kind: Kind
    time: str | None
    dates: bool  #: the time column holds dates, not seconds
    text: list[str]
    numbers: list[str]
    flags: list[str]  #: true or false
    left_out: dict[str, str]  #: column -> why
    rows: int
    whole: bool  #: the target's classes are whole numbers
    most_common: float  #: share of the most common class

    @property
    def columns(self) -> list[str]:
        """Return the columns to learn from."""
        return [*self.text, *self.numbers, *self.flags]


def describe(frame: pl.DataFrame, target: str, time: str | None) -> Described:
    """Return what a project needs to know of a table.

    Raises:
        BadInputError: naming the column, and the row where there is one, that cannot be used.
    """
    _there(frame, target, "target")
    if time is not None:
        _there(frame, time, "time")
        if time == target:
            raise BadInputError("time and target are the same column.", field="time")
    labelled = _labelled(frame, target)
    kind = _kind(labelled[target])
    dates = time is not None and _check_time(frame[time])
    text: list[str] = []
    numbers: list[str] = []
    flags: list[str] = []
    left_out: dict[str, str] = {}
    for column in frame.columns:
        if column in (target, time):
            continue
        why = _unusable(frame[column])
        if why:
            left_out[column] = why
        else:
            dtype = frame[column].dtype
            (text if _is_text(dtype) else flags if dtype == pl.Boolean else numbers).append(column)
    if not (text or numbers or flags):
        told = "; ".join(f"{column}: {why}" for column, why in left_out.items())
        raise BadInputError(
            f"No column is left to learn from ({told or 'there is only the target'}).",
            field="columns",
        )
    counts = labelled[target].value_counts(sort=True)["count"]
    return Described(
        target=target,
        kind=kind,
        time=time,
        dates=dates,
        text=text,
        numbers=numbers,
        flags=flags,
        left_out=left_out,
        rows=labelled.height,
        whole=kind != "regression" and labelled[target].dtype.is_numeric(),
        most_common=float(counts[0]) / labelled.height,
    )


def times_in(frame: pl.DataFrame) -> list[str]:
    """Return the columns that hold dates or times."""
    return [column.name for column in frame if column.dtype in (pl.Date, pl.Datetime)]


def _there(frame: pl.DataFrame, column: str, field: str) -> None:
    if column in frame.columns:
        return
    close = nearest(column, frame.columns)
    hint = "" if close is None else f"Did you mean {close!r}? "
    raise BadInputError(
        f"There is no column {column!r}.",
        field=field,
        hint=f"{hint}There are: {', '.join(frame.columns[:60])}.",
    )


def _labelled(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return the rows that have a target, or say why there is nothing to learn from them."""
    values = frame[target]
    if values.dtype.is_float():
        infinite = values.is_infinite().fill_null(value=False)
        if infinite.any():
            raise BadInputError(
                f"Target {target!r} is infinite in row {infinite.arg_true()[0] + 1}.",
                field="target",
            )
        frame = frame.with_columns(pl.col(target).fill_nan(None))
    _check_mixed(frame[target])
    _check_exact(frame[target])
    labelled = frame.drop_nulls(target)
    if labelled.height == 0:
        raise BadInputError(f"Target {target!r} is empty in every row.", field="target")
    if labelled[target].n_unique() == 1:
        raise BadInputError(
            f"Target {target!r} is {labelled[target][0]!r} in every row; nothing can be learnt.",
            field="target",
        )
    if labelled.height < LEAST_ROWS:
        raise BadInputError(
            f"Only {labelled.height} rows have a target; {LEAST_ROWS} are needed.", field="target"
        )
    return labelled


def _kind(target: pl.Series) -> Kind:
    values = target.n_unique()
    if not (target.dtype.is_numeric() or target.dtype == pl.Boolean or _is_text(target.dtype)):
        raise BadInputError(
            f"Target {target.name!r} holds {target.dtype}; it must be numbers, text or true and"
            " false.",
            field="target",
        )
    if values == 2 and (not target.dtype.is_float() or bool((target == target.round()).all())):
        return "binary"
    if _is_text(target.dtype):
        if values > MOST_CLASSES:
            raise BadInputError(
                f"Target {target.name!r} has {values} different texts, more than {MOST_CLASSES}.",
                field="target",
                hint="Join rare ones, or choose a column of classes or numbers.",
            )
        return "multiclass"
    return "multiclass" if target.dtype.is_integer() and values <= 20 else "regression"


def _check_time(values: pl.Series) -> bool:
    """Return whether the times are dates; False if they are seconds."""
    if values.null_count():
        raise BadInputError(
            f"Time {values.name!r} is empty in row {values.is_null().arg_true()[0] + 1}.",
            field="time",
            hint="Every row needs a time, or none: leave out --time.",
        )
    if values.dtype in (pl.Date, pl.Datetime):
        return True
    if values.dtype.is_numeric():
        highest = float(values.cast(pl.Float64).max() or 0.0)  # type: ignore[arg-type]
        if not abs(highest) < LATEST_S:
            raise BadInputError(
                f"Time {values.name!r} goes up to {highest:.5g}, not seconds since 1970.",
                field="time",
                hint="Give seconds, or dates such as 2024-05-01 or 2024-05-01T12:00:00.",
            )
        return False
    raise BadInputError(
        f"Time {values.name!r} holds {str(values[0])[:40]!r}, which is no time.",
        field="time",
        hint="Give seconds, or dates such as 2024-05-01 or 2024-05-01T12:00:00.",
    )


def _unusable(values: pl.Series) -> str:
    """Return why a column is left out, or nothing.

    Raises:
        BadInputError: if it is not fit to be used, and leaving it out would hide that.
    """
    dtype = values.dtype
    if values.name in _RESERVED:
        return "the name is Mainspring's own"
    if not (dtype.is_numeric() or dtype == pl.Boolean or _is_text(dtype)):
        return f"{dtype} is neither number nor text"
    if values.drop_nulls().n_unique() < 2:
        return "the same in every row"
    if dtype.is_float():
        infinite = values.is_infinite().fill_null(value=False)
        if infinite.any():
            raise BadInputError(
                f"Column {values.name!r} is infinite in row {infinite.arg_true()[0] + 1}.",
                field=values.name,
                hint="Leave the cell empty, or give the greatest value there can be.",
            )
    _check_mixed(values)
    _check_exact(values)
    if _is_text(dtype) and values.n_unique() > max(0.9 * values.len(), 50):
        return "different in nearly every row, like an identifier"
    return ""


def _check_mixed(values: pl.Series) -> None:
    if not _is_text(values.dtype):
        return
    filled = values.cast(pl.String).drop_nulls()
    numeric = filled.str.strip_chars().cast(pl.Float64, strict=False)
    share = 1 - numeric.null_count() / max(filled.len(), 1)
    if MIXED_SHARE <= share < 1:
        odd = str(filled.filter(numeric.is_null())[0])
        row = int((values.cast(pl.String) == odd).arg_true()[0]) + 1
        raise BadInputError(
            f"Column {values.name!r} holds numbers, but {odd[:40]!r} in row {row}.",
            field=values.name,
            hint="Make it a number or leave the cell empty.",
        )


def _check_exact(values: pl.Series) -> None:
    """Refuse whole numbers that a float64 would round: two of them could become one."""
    if not values.dtype.is_integer():
        return
    wide = values.cast(pl.Int128)
    inexact = ((wide > EXACT) | (wide < -EXACT)).fill_null(value=False)
    if inexact.any():
        row = int(inexact.arg_true()[0])
        raise BadInputError(
            f"Column {values.name!r} holds {values[row]} in row {row + 1}, a whole number beyond"
            f" {EXACT} (2^53), which is not kept exactly.",
            field=values.name,
            hint="Leave the column out, or write it as text, such as id-1.",
        )


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)
