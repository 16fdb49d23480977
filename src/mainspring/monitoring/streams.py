"""Read a table of any size portion by portion: CSV, JSON lines, Parquet, Arrow.

CSV is read as text and each value as what it is written as, so that a word in the millionth row
breaks nothing. Nothing here holds more than a few portions at a time.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.profiles import Profile
from mainspring.monitoring.profiling import PORTION, Profiler
from mainspring.numerics import merging

#: What stands for no value in CSV.
NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
PARQUET, JSON_LINES, CSV = (".parquet", ".pq"), (".jsonl", ".ndjson"), (".csv", ".tsv", ".txt")
ARROW = (".arrow", ".feather", ".ipc")
#: Columns of a Parquet file that are read together: of a thousand, each is read alone anyway.
TOGETHER = 100
#: Cells read together at most; rows of a wide table come in smaller portions.
_CELLS = 4_000_000
_LINES = 16_384

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table on disk: its columns, its rows if that is known, and how to go through it."""

    path: Path
    columns: list[str]
    rows: int | None
    frames: Callable[[Sequence[str]], Iterator[pl.DataFrame]]
    by_column: bool  #: some columns can be read without the others


def open_table(path: str | os.PathLike[str], *, nulls: Sequence[str] = NULLS) -> Table:
    """Return a table to go through; nothing but its header is read yet.

    Raises:
        BadInputError: if there is no such file, or it is no table that can be read, or has two
            columns of one name.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="file")
    suffix = file.suffix.lower()
    if suffix in PARQUET:
        return _by_column(file, pl.scan_parquet)
    if suffix in ARROW:
        return _by_column(file, pl.scan_ipc)
    if suffix in JSON_LINES:
        return _json_lines(file)
    if suffix in CSV:
        return _csv(file, nulls)
    known = ", ".join((*CSV, *JSON_LINES, *PARQUET, *ARROW))
    raise BadInputError(
        f"{file} is no table by its name.", field="file", hint=f"Known endings: {known}."
    )


def frames_of(
    path: str | os.PathLike[str],
    *,
    nulls: Sequence[str] = NULLS,
    progress: Progress | None = None,
) -> Iterator[pl.DataFrame]:
    """Go through a table portion by portion; ``progress`` hears the rows so far and in all.

    Raises:
        BadInputError: as :func:`open_table`, and for a row that cannot be read.
    """
    table = open_table(path, nulls=nulls)
    done = 0
    for frame in table.frames(table.columns):
        yield frame
        done += frame.height
        if progress is not None:
            progress(done, table.rows)


def frames_of_lazy(lazy: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Go through a lazy frame portion by portion, in the order of its rows, never all at once.

    Raises:
        BadInputError: if it cannot be computed.
    """
    path = Path("the lazy frame")
    width = len(_checked(path, lazy.collect_schema))
    yield from _batches(path, lazy, width)


def profile_table(
    path: str | os.PathLike[str],
    *,
    nulls: Sequence[str] = NULLS,
    progress: Progress | None = None,
) -> Profile:
    """Return the profile of a table on disk, in bounded memory.

    A Parquet file of many columns is read a hundred of them at a time, so that the memory does
    not grow with their number; correlations are then those of the first hundred.

    Raises:
        BadInputError: as :func:`frames_of`.
    """
    table = open_table(path, nulls=nulls)
    every = len(table.columns)
    step = TOGETHER if table.by_column else max(every, 1)
    parts: list[Profile] = []
    for start in range(0, max(every, 1), step):
        names = table.columns[start : start + step]
        profiler = Profiler() if start == 0 else Profiler(correlations=0)
        for frame in table.frames(names):
            profiler.add(frame)
            if progress is not None and table.rows is not None:
                share = (start + len(names) * profiler.rows / max(table.rows, 1)) / max(every, 1)
                progress(min(int(share * table.rows), table.rows), table.rows)
            elif progress is not None:
                progress(profiler.rows, None)
        parts.append(profiler.profile())
    columns = [column for part in parts for column in part.columns]
    moving = merging.moving_of(parts[0].correlations)
    if moving is not None and len(parts) > 1:
        why = f"The number columns among the first {step} are compared."
        moving = merging.Moving(moving.columns, moving.moments, why)
    return merging.assemble(parts[0].rows, columns, moving)


def _portion(columns: int) -> int:
    return max(min(PORTION, _CELLS // max(columns, 1)), 1_024)


def _by_column(file: Path, scan: Callable[[Path], pl.LazyFrame]) -> Table:
    lazy = _checked(file, lambda: scan(file))
    columns = _checked(file, lambda: lazy.collect_schema().names())
    rows = int(_checked(file, lambda: lazy.select(pl.len()).collect().item()))
    return Table(
        path=file,
        columns=columns,
        rows=rows,
        frames=lambda names: _batches(file, lazy.select(names), len(names)),
        by_column=True,
    )


def _csv(file: Path, nulls: Sequence[str]) -> Table:
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
    columns = _header(file, separator)
    lazy = _checked(
        file,
        lambda: pl.scan_csv(
            file, separator=separator, infer_schema=False, null_values=list(nulls)
        ),
    )
    rows = int(_checked(file, lambda: lazy.select(pl.len()).collect().item()))
    return Table(
        path=file,
        columns=columns,
        rows=rows,
        frames=lambda names: _batches(file, lazy.select(names), len(columns)),
        by_column=False,
    )


def _header(file: Path, separator: str) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            names = next(csv.reader(handle, delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, error) from error
    if not names:
        raise BadInputError(f"{file} is empty.", field="file")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{file} has more than one column {twice[0]!r}.",
            field="file",
            hint="Give every column a name of its own.",
        )
    if not all(name.strip() for name in names):
        place = [bool(name.strip()) for name in names].index(False) + 1
        raise BadInputError(f"Column {place} of {file} has no name.", field="file")
    return names


def _batches(file: Path, lazy: pl.LazyFrame, width: int) -> Iterator[pl.DataFrame]:
    none = True
    try:
        for frame in lazy.collect_batches(chunk_size=_portion(width), maintain_order=True):
            none = False
            yield frame
        if none:  # so that whoever goes through it sees the columns
            yield lazy.head(0).collect()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file, error) from error


def _json_lines(file: Path) -> Table:
    return Table(
        path=file,
        columns=[],
        rows=None,
        frames=lambda _: _objects(file),
        by_column=False,
    )


def _objects(file: Path) -> Iterator[pl.DataFrame]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows: list[dict[str, Any]] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                rows.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise BadInputError(
                    f"Line {number} of {file} is no JSON object: {error}.", field="file"
                ) from error
            if len(rows) >= _LINES:
                yield frame_of_rows(rows)
                rows = []
    if rows:
        yield frame_of_rows(rows)


def frame_of_rows(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a frame; a column that mixes types becomes text, as it was written."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) <= 1 and not kinds & {dict, list}:
        try:
            return pl.Series(name, values, strict=True)
        except (pl.exceptions.PolarsError, TypeError, OverflowError):
            pass  # a whole number beyond 64 bits: as text
    # A whole number that a double does not hold exactly is kept as text, and never altered.
    if kinds == {int, float} and all(abs(v) <= 2**53 for v in values if type(v) is int):
        return pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64)
    return pl.Series(name, [None if v is None else _written(v) for v in values], pl.String)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _checked(file: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> BadInputError:
    told = " ".join(str(error).split("\n\n")[0].split()).rstrip(".")[:300]
    return BadInputError(f"{file} is not a table that can be read: {told}.", field="file")
