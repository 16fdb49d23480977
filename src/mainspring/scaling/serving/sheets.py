"""Read the rows of a request that came as a table: CSV or Parquet."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.objects import Signature
from mainspring.scaling.models.check import check_rows, plain

#: Text of a Parquet file may be this much larger unpacked; a dictionary repeats without end.
MOST_TEXT_BYTES = 256 * 2**20
_DTYPES = {"int": pl.Int64, "float": pl.Float64}


def read_csv(body: bytes, signature: Signature, *, header: bool | None = None) -> dict[str, Any]:
    """Return the columns of a CSV.

    With a header the columns go by name. Without one they go by place: where the sender says so
    (``header`` False), or where the first line has a value for each column and names none.

    Raises:
        BadInputError: naming the column and the row.
    """
    names = [column.name for column in signature.columns]
    if header is None:
        header = _has_header(body, signature)
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False, has_header=header)
    except PolarsError as error:
        if not header and isinstance(error, pl.exceptions.NoDataError):
            return {name: [] for name in names}
        raise _unreadable("CSV", error) from error
    if not header:
        if frame.width != len(names):
            raise BadInputError(
                f"The CSV has {frame.width} columns and no header; the model takes {len(names)},"
                f" by place: {', '.join(names[:50])}."
            )
        frame.columns = names
    types: dict[str | None, str] = {signature.time: "time"}
    types |= {column.name: column.type for column in signature.columns}
    return {name: _parsed(frame[name], types.get(name, "str")) for name in frame.columns}


def read_parquet(body: bytes, signature: Signature, most_rows: int) -> dict[str, Any]:
    """Return the columns of a Parquet file. Names that the model does not take come empty.

    Raises:
        TooLargeError: if it holds more rows, or unpacks to more text, than is taken at once.
        BadInputError: if it cannot be read.
    """
    known = {column.name for column in signature.columns} | {signature.time}
    try:
        # What a file says of itself is read first: a small one can unpack to any size.
        found = list(pl.read_parquet_schema(io.BytesIO(body)))
        rows = pl.scan_parquet(io.BytesIO(body)).select(pl.len()).collect().item()
        check_rows(rows, most_rows)
        frame = pl.read_parquet(
            io.BytesIO(body), columns=[name for name in found if name in known]
        )
    except (PolarsError, PanicException, OSError) as error:
        raise _unreadable("Parquet file", error) from error
    texts = [one for one in frame.get_columns() if one.dtype == pl.String]
    size = sum(int(one.str.len_bytes().sum() or 0) for one in texts)
    if size > MOST_TEXT_BYTES:
        raise TooLargeError(f"The Parquet file unpacks to {size // 2**20} MB of text.")
    columns = {name: _values(frame[name]) for name in frame.columns}
    return {name: columns.get(name, []) for name in found}


def _values(values: pl.Series) -> Any:
    if values.dtype.is_temporal() and values.dtype in (pl.Date, pl.Datetime):
        return (values.cast(pl.Datetime("us")).dt.epoch("us") / 1e6).to_list()
    return plain(values)


def _has_header(body: bytes, signature: Signature) -> bool:
    """Return whether the first line names columns: any of the model's, or not one a column."""
    try:
        first = pl.read_csv(io.BytesIO(body), infer_schema=False, has_header=False, n_rows=1)
    except PolarsError:
        return True  # reading it again says what is wrong
    fields = {str(value).strip() for value in first.row(0)}
    names = {column.name for column in signature.columns} | {signature.time}
    return bool(fields & names) or first.width != len(signature.columns)


def _parsed(texts: pl.Series, kind: str) -> Any:
    if kind == "str":
        return texts.to_list()
    if kind == "time":  # seconds, or else ISO texts
        seconds = texts.cast(pl.Float64, strict=False)
        return texts.to_list() if seconds.null_count() else seconds.to_numpy()
    if kind == "bool":
        lower = texts.str.to_lowercase().str.strip_chars()
        values = lower.replace_strict(
            {"true": True, "false": False, "1": True, "0": False},
            default=None,
            return_dtype=pl.Boolean,
        )
    else:
        values = texts.str.strip_chars().cast(_DTYPES[kind], strict=False)
    bad = (values.is_null() & texts.is_not_null()).arg_true()
    if bad.len():
        row = int(bad[0])
        raise BadInputError(
            f"Column {texts.name!r}, row {row}: {texts[row][:80]!r} is not {kind}.",
            field=texts.name,
        )
    return plain(values)


def _unreadable(what: str, error: BaseException) -> BadInputError:
    told = str(error).partition("\n")[0]
    return BadInputError(f"The {what} cannot be read: {told[:300]}")
