"""Read a user's table, a file or a frame, and say plainly what is wrong with it."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt")
LINES = (".jsonl", ".ndjson")
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


def table_of(value: Any, field: str = "table") -> pl.DataFrame:
    """Return a table as a polars frame: a path, or a frame of polars, pandas or pyarrow.

    Raises:
        BadInputError: if it is no table, or a file that cannot be read as one.
    """
    if isinstance(value, str | os.PathLike):
        return read(Path(value), field)
    from mainspring.experiments.tabular import frame_of

    return frame_of(value, field)


def read(file: Path, field: str = "file") -> pl.DataFrame:
    """Return the rows of a CSV, JSON lines or Parquet file.

    Raises:
        BadInputError: if it is missing, empty, of another kind, not UTF-8, has no rows, or has
            two columns of one name.
    """
    file = file.expanduser()
    if not file.exists():
        raise BadInputError(f"There is no file {file}.", field=field)
    if not file.is_file():
        raise BadInputError(f"{file} is not a file.", field=field)
    if file.stat().st_size == 0:
        raise BadInputError(f"{file} is empty.", field=field)
    kind = file.suffix.lower()
    if kind not in PARQUET + CSV + LINES:
        raise BadInputError(
            f"{file} is neither CSV, JSON lines nor Parquet by its name.",
            field=field,
            hint=f"Known endings: {', '.join(CSV + LINES + PARQUET)}.",
        )
    if kind in PARQUET:
        frame = _parquet(file)
    elif kind in LINES:
        frame = _lines(file)
    else:
        frame = _csv(file, "\t" if kind == ".tsv" else ",")
    if frame.height == 0:
        raise BadInputError(f"{file} has columns but no rows.", field=field)
    return frame


def _parquet(file: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(
            f"{file} is not a Parquet file that can be read: {_short(error)}.", field="file"
        ) from error


def _lines(file: Path) -> pl.DataFrame:
    import polars as pl

    _check_text(file)
    try:
        return _with_times(pl.read_ndjson(file, infer_schema_length=None))
    except pl.exceptions.PolarsError as error:
        raise BadInputError(
            f"{file} is not JSON lines that can be read: {_short(error)}.",
            field="file",
            hint="Every line is one JSON object.",
        ) from error


def _with_times(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame in which text that is a time in every row is one: JSON has no times."""
    import polars as pl

    for series in frame.select(pl.selectors.string()):
        head = series.drop_nulls().head(1)
        if head.len() and _DATED.match(head[0]):
            try:
                frame = frame.with_columns(series.str.to_datetime(time_unit="us"))
            except pl.exceptions.PolarsError:
                continue  # it only looked like one: it stays text
    return frame


def _csv(file: Path, separator: str) -> pl.DataFrame:
    import polars as pl

    _check_text(file)
    _check_header(file, separator)
    try:
        return pl.read_csv(
            file,
            separator=separator,
            null_values=NULLS,
            infer_schema_length=None,  # all rows: a late decimal or word must not break the read
            try_parse_dates=True,
        )
    except pl.exceptions.PolarsError as error:
        raise BadInputError(
            f"{file} is not a table that can be read: {_short(error)}.",
            field="file",
            hint="Every row needs as many cells as the header.",
        ) from error


def _check_text(file: Path) -> None:
    position = 0
    with file.open("rb") as handle:
        rest = b""
        while chunk := handle.read(1 << 20):
            data = rest + chunk
            try:
                data.decode("utf-8")
                rest = b""
            except UnicodeDecodeError as error:
                cut = len(data) - error.start
                if cut >= 4 or len(chunk) < 1 << 20:
                    line = data[: error.start].count(b"\n") + position + 1
                    raise BadInputError(
                        f"{file} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}.",
                        field="file",
                        hint="Convert it: iconv -f latin1 -t utf-8 IN.csv > OUT.csv",
                    ) from error
                data, rest = data[: error.start], data[error.start :]
            position += data.count(b"\n")
    if rest:
        raise BadInputError(f"{file} is not UTF-8: it ends within a letter.", field="file")


def _check_header(file: Path, separator: str) -> None:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        header = next(csv.reader(handle, delimiter=separator), [])
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{file} has more than one column {twice[0]!r}.",
            field="file",
            hint="Give every column a name of its own.",
        )
    if any(not name.strip() for name in header):
        place = [not name.strip() for name in header].index(True) + 1
        raise BadInputError(
            f"Column {place} of {file} has no name.",
            field="file",
            hint="Name it in the header, or leave the column out.",
        )


def _short(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split()).rstrip(".")[:300]
