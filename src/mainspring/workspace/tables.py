"""Read a user's table, CSV or Parquet, and say plainly what is wrong with it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt")
NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


def read(file: Path) -> pl.DataFrame:
    """Return the rows of a CSV or Parquet file.

    Raises:
        BadInputError: if it is missing, empty, of another kind, not UTF-8, has no rows, or has
            two columns of one name.
    """
    file = file.expanduser()
    if not file.exists():
        raise BadInputError(f"There is no file {file}.", field="file")
    if not file.is_file():
        raise BadInputError(f"{file} is not a file.", field="file")
    if file.stat().st_size == 0:
        raise BadInputError(f"{file} is empty.", field="file")
    kind = file.suffix.lower()
    if kind not in PARQUET + CSV:
        raise BadInputError(
            f"{file} is neither CSV nor Parquet by its name.",
            field="file",
            hint=f"Known endings: {', '.join(CSV + PARQUET)}.",
        )
    frame = _parquet(file) if kind in PARQUET else _csv(file, "\t" if kind == ".tsv" else ",")
    if frame.height == 0:
        raise BadInputError(f"{file} has columns but no rows.", field="file")
    return frame


def _parquet(file: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(
            f"{file} is not a Parquet file that can be read: {_short(error)}.", field="file"
        ) from error


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
