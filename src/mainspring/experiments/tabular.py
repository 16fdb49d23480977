"""Read any table a script holds (polars, pandas, pyarrow, lists, dicts) as one kind of frame."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError, NotExactError

if TYPE_CHECKING:
    import polars as pl

PREVIEW_ROWS = 50
_MAX_CELL = 500
_TAKEN = "a polars or pandas frame, a pyarrow table, a list of dicts, or a dict of lists"


def frame_of(value: Any, field: str = "table") -> pl.DataFrame:
    """Return a table as a polars frame; a pandas index of its own becomes columns.

    >>> frame_of([{"x": 1, "y": "a"}, {"x": 2}]).shape
    (2, 2)

    Raises:
        BadInputError: if it is no table, or its columns differ in length.
        NotExactError: if a column mixes types that no one column can hold.
    """
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    library = type(value).__module__.partition(".")[0]
    try:
        if library == "pandas":
            return _from_pandas(value, field)
        if library == "pyarrow":
            found = pl.from_arrow(value)
            return found if isinstance(found, pl.DataFrame) else found.to_frame()
        return _from_plain(value, field)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        first = str(error).partition("\n")[0][:200]
        raise NotExactError(
            f"{field} cannot be kept as it is: {first}.",
            field=field,
            hint="Give every column one type first.",
        ) from error


def write(frame: pl.DataFrame, to: str) -> bytes:
    """Return a frame in the form that a path's suffix names: .parquet, .csv or .json (rows).

    Raises:
        BadInputError: for another suffix, or a column that the form cannot hold.
    """
    import polars as pl

    held = io.BytesIO()
    suffix = PurePosixPath(to).suffix.lower()
    try:
        if suffix == ".parquet":
            frame.write_parquet(held)
        elif suffix == ".csv":
            frame.write_csv(held)
        elif suffix == ".json":
            held.write(msgspec.json.encode([_cells(row) for row in frame.iter_rows(named=True)]))
        else:
            raise BadInputError(
                f"A table is kept as .parquet, .csv or .json, found {to[-60:]!r}.", field="to"
            )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise BadInputError(
            f"The table cannot be kept as {suffix}: {error}", field="to"
        ) from error
    return held.getvalue()


def preview(frame: pl.DataFrame) -> bytes:
    """Return the first rows as JSON, with the columns and how many rows there are in all."""
    head = frame.head(PREVIEW_ROWS)
    told = {
        "rows": frame.height,
        "columns": [{"name": name, "type": str(kind)} for name, kind in frame.schema.items()],
        "head": [[_cell(one) for one in row] for row in head.rows()],
    }
    return msgspec.json.encode(told)


def schema(frame: pl.DataFrame) -> str:
    """Return names and types of the columns, as JSON."""
    columns = [{"name": name, "type": str(kind)} for name, kind in frame.schema.items()]
    return msgspec.json.encode({"columns": columns}).decode()


def profile(frame: pl.DataFrame) -> str:
    """Return rows, missing values, and lowest, highest and mean of numbers, as JSON."""
    columns = []
    for series in frame:
        about: dict[str, Any] = {"name": series.name, "missing": int(series.null_count())}
        if series.dtype.is_numeric() and series.len() > about["missing"]:
            about |= {
                "low": _cell(series.min()),
                "high": _cell(series.max()),
                "mean": _cell(series.mean()),
            }
        columns.append(about)
    return msgspec.json.encode({"rows": frame.height, "columns": columns}).decode()


def digest(frame: pl.DataFrame) -> str:
    """Return the digest of what a frame holds: its names, types and values in their order.

    It does not depend on the library the frame came from, on how it is laid out in memory, nor
    on a release of polars: it is of the values' own bytes.

    >>> import polars as pl
    >>> one = pl.DataFrame({"x": [1, None], "y": ["a", "b"]})
    >>> digest(one) == digest(one.clone()), digest(one) == digest(one.reverse())
    (True, False)
    """
    whole = sha256(f"rows {frame.height}".encode())
    for series in frame:
        whole.update(msgspec.json.encode([series.name, str(series.dtype)]))
        for part in _bytes(series):
            whole.update(len(part).to_bytes(8, "little"))
            whole.update(part)
    return whole.hexdigest()


# ---------------------------------------------------------------- parts


def _from_pandas(value: Any, field: str) -> pl.DataFrame:
    import polars as pl

    if not hasattr(value, "columns"):  # a series
        value = value.to_frame()
    if type(value.index).__name__ != "RangeIndex":
        value = value.reset_index()
    names = [str(name) for name in value.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"{field} has the column {twice[:80]!r} twice.", field=field)
    value = value.set_axis(names, axis="columns")
    try:
        return pl.from_pandas(value)
    except ImportError as error:
        raise BadInputError(
            f"{field}: reading this pandas frame needs pyarrow.",
            field=field,
            hint="Install it: pip install pyarrow, or give a polars frame.",
        ) from error


def _from_plain(value: Any, field: str) -> pl.DataFrame:
    import polars as pl

    if isinstance(value, Mapping):
        columns = {str(name): _listed(column) for name, column in value.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name}: {count}" for name, count in list(lengths.items())[:8])
            raise BadInputError(f"{field} has columns of unequal length: {told}.", field=field)
        return pl.DataFrame(columns, strict=True)
    rows = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if rows and all(isinstance(row, Mapping) for row in value):
        # Every row is looked at: a column may begin with whole numbers and go on otherwise.
        names = dict.fromkeys(str(name) for row in value for name in row)
        return pl.DataFrame(
            {name: _listed([row.get(name) for row in value]) for name in names}, strict=True
        )
    raise BadInputError(f"{field} must be {_TAKEN}, found {type(value).__name__}.", field=field)


def _listed(column: Any) -> Any:
    """Return the values of a column; whole numbers among decimal ones become such."""
    if hasattr(column, "dtype"):
        return column
    values = list(column)
    kinds = {type(one) for one in values} - {type(None)}
    if bool in kinds and kinds & {int, float}:
        raise TypeError("a column holds both numbers and booleans")
    if kinds == {int, float}:
        exact = all(not isinstance(one, int) or float(one) == one for one in values)
        return [None if one is None else float(one) for one in values] if exact else values
    return values


def _bytes(series: pl.Series) -> list[bytes]:
    import polars as pl

    there = series.is_not_null().to_numpy().tobytes()
    kind = series.dtype
    if kind in (pl.Categorical, pl.Enum):
        series, kind = series.cast(pl.String), pl.String()
    if kind == pl.String:
        plain = series.fill_null("")
        return [there, plain.str.len_bytes().to_numpy().tobytes(), "".join(plain).encode()]
    if kind.is_numeric() and not kind.is_decimal():
        return [there, series.fill_null(0).to_numpy().tobytes()]
    if kind == pl.Boolean:
        return [there, series.fill_null(value=False).to_numpy().tobytes()]
    if kind.is_temporal():
        return [there, series.to_physical().fill_null(0).to_numpy().tobytes()]
    return [there, *(repr(one).encode("utf-8", "surrogatepass") for one in series)]


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cell(one, whole=True) for name, one in row.items()}


def _cell(value: Any, *, whole: bool = False) -> Any:
    """Return a value as JSON holds it; what JSON has no number for is written out."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_cell(one, whole=whole) for one in value]
    if isinstance(value, dict):
        return {str(key): _cell(one, whole=whole) for key, one in value.items()}
    text = str(value) if isinstance(value, str | Decimal | timedelta) else repr(value)
    return text if whole or len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 3]}..."
