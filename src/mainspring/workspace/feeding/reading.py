"""Read a prediction log in parts, whatever its form, and name the line that is broken.

CSV, JSON lines, JSON and Parquet. The form is told by the first bytes, not by a name. Every
part has the column ``line`` (:data:`LINE`): where each row stands, so that whatever is found
wrong with a row later can be said by its line too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError, TooLargeError

Form = Literal["csv", "json lines", "json", "parquet"]

ROWS_AT_ONCE = 25_000  # a part of 25 columns takes some 30 MB while it is looked at
MOST_COLUMNS = 5_000
MOST_JSON_BYTES = 64 << 20  # one JSON document is read whole; JSON lines are not
LINE = "\x00line"  #: the column that holds each row's place in its file, from 1
NULLS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})

Progress = Callable[[int], None]  # told how many bytes were read


def form_of(file: Path) -> Form:
    """Return what form a file has, by its first bytes.

    Raises:
        BadInputError: if it is not there or empty.
    """
    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="file")
    with file.open("rb") as handle:
        head = handle.read(1 << 16).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise BadInputError(f"{file.name} is empty.", field="file")
    if head[:4] == b"PAR1":
        return "parquet"
    first = head.lstrip()
    if first[:1] == b"[":
        return "json"
    if first[:1] != b"{":
        return "csv"
    line = first.partition(b"\n")[0]
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return "json"  # one object over several lines, or a broken line that will be named
    return "json" if b'"rows"' in line else "json lines"


def parts(
    file: Path, name: str = "", *, separator: str | None = None, tell: Progress | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file, at most :data:`ROWS_AT_ONCE` at a time.

    ``name`` is what the file is called in complaints. Text of a CSV stays text; what stands for
    nothing there is null.

    Raises:
        BadInputError: naming the line that cannot be read; rows before it were yielded by then.
    """
    name = name or file.name
    form = form_of(file)
    tell = tell or (lambda _: None)
    if form == "csv":
        yield from _csv(file, name, separator, tell)
    elif form == "json lines":
        yield from _json_lines(file, name, tell)
    elif form == "json":
        yield from _json(file, name)
    else:
        yield from _parquet(file, name, tell)


def whole(file: Path, name: str = "", *, most_rows: int = 2_000_000) -> pl.DataFrame:
    """Return all rows of a file, without their lines; columns take the plainest type they fit.

    Raises:
        BadInputError: as :func:`parts`, and if there are no rows.
        TooLargeError: if there are more than ``most_rows``.
    """
    found: list[pl.DataFrame] = []
    rows = 0
    for part in parts(file, name):
        found.append(part.drop(LINE))
        rows += part.height
        if rows > most_rows:
            raise TooLargeError(
                f"{name or file.name} has more than {most_rows:,} rows.",
                field="file",
                hint="A sample of it says as much: a baseline needs some 100,000 rows.",
            )
    if not rows:
        raise BadInputError(f"{name or file.name} has no rows.", field="file")
    return plainest(pl.concat(found, how="diagonal_relaxed"))


def plainest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return text columns as whole numbers, numbers or booleans where every value is one.

    >>> plainest(pl.DataFrame({"a": ["1", None], "b": ["1.5", "2"], "c": ["x", "2"]})).dtypes
    [Int64, Float64, String]
    """
    return frame.with_columns(
        [_plainest(frame[name]) for name in frame.columns if frame[name].dtype == pl.String]
    )


def _plainest(values: pl.Series) -> pl.Series:
    if values.null_count() == values.len():
        return values
    for kind in (pl.Int64, pl.Float64):
        cast = values.cast(kind, strict=False)
        if cast.null_count() == values.null_count():
            return cast
    low = values.str.to_lowercase()
    if low.drop_nulls().is_in(["true", "false"]).all():
        return low == "true"
    return values


# ---------------------------------------------------------------- forms


def _csv(file: Path, name: str, separator: str | None, tell: Progress) -> Iterator[pl.DataFrame]:
    with file.open("rb") as raw:
        lines = _text_lines(raw, name)
        head = next(lines)
        separator = separator or _separator(head)
        header = next(csv.reader([head], delimiter=separator))
        _check_header(header, name)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        rows: list[list[str]] = []
        places: list[int] = []
        before = 1
        while True:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise _broken(name, before + 1, str(error)) from error
            place, before = before + 1, reader.line_num + 1
            if not row:
                continue  # an empty line is no row
            if len(row) != len(header):
                raise _broken(
                    name, place, f"it has {len(row)} cells, the header has {len(header)}"
                )
            rows.append(row)
            places.append(place)
            if len(rows) == ROWS_AT_ONCE:
                tell(raw.tell())
                yield _of_cells(header, rows, places)
                rows, places = [], []
        if rows:
            yield _of_cells(header, rows, places)


def _of_cells(header: list[str], rows: list[list[str]], places: list[int]) -> pl.DataFrame:
    columns = [pl.Series(LINE, places, dtype=pl.Int64)]
    for title, cells in zip(header, zip(*rows, strict=True), strict=True):
        text = pl.Series(title, cells, dtype=pl.String)
        columns.append(text.set(text.is_in(list(NULLS)), None))
    return pl.DataFrame(columns)


def _separator(head: str) -> str:
    counts = {mark: head.count(mark) for mark in (",", "\t", ";", "|")}
    return max(counts, key=lambda mark: counts[mark])


def _check_header(header: list[str], name: str) -> None:
    if len(header) > MOST_COLUMNS:
        raise TooLargeError(f"{name} has {len(header):,} columns, at most {MOST_COLUMNS:,}.")
    twice = sorted({title for title in header if header.count(title) > 1})
    if twice:
        raise BadInputError(f"{name} has more than one column {twice[0]!r}.", field="file")
    if not all(title.strip() for title in header):
        place = [bool(title.strip()) for title in header].index(False) + 1
        raise BadInputError(f"Column {place} of {name} has no name.", field="file")


def _text_lines(raw: Any, name: str) -> Iterator[str]:
    for place, line in enumerate(raw, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = line[error.start]
            raise _broken(name, place, f"it is not UTF-8 (byte 0x{wrong:02x})") from error
        yield text.removeprefix("\ufeff") if place == 1 else text


def _json_lines(file: Path, name: str, tell: Progress) -> Iterator[pl.DataFrame]:
    decoder = msgspec.json.Decoder()
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    with file.open("rb") as raw:
        for place, line in enumerate(raw, 1):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line.removeprefix(b"\xef\xbb\xbf"))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _broken(name, place, f"it is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise _broken(name, place, f"a row is an object, found {type(row).__name__}")
            rows.append(row)
            places.append(place)
            if len(rows) == ROWS_AT_ONCE:
                tell(raw.tell())
                yield of_records(rows, places)
                rows, places = [], []
    if rows:
        yield of_records(rows, places)


def _json(file: Path, name: str) -> Iterator[pl.DataFrame]:
    if file.stat().st_size > MOST_JSON_BYTES:
        raise TooLargeError(
            f"{name} is one JSON document of {file.stat().st_size >> 20} MB.",
            field="file",
            hint="Write one JSON object a line instead: such a file may be of any size.",
        )
    data = file.read_bytes()
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken_json(data, name, str(error)) from error
    rows = found.get("rows", [found]) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInputError(f"{name} must hold objects, one a row.", field="rows")
    for start in range(0, len(rows), ROWS_AT_ONCE):
        taken = rows[start : start + ROWS_AT_ONCE]
        yield of_records(taken, list(range(start + 1, start + 1 + len(taken))))


def _broken_json(data: bytes, name: str, told: str) -> BadInputError:
    """Name the line: of JSON lines whose first is broken, or of the byte that is wrong."""
    lines = data.splitlines()
    for place, line in enumerate(lines, 1):
        if line.strip():
            try:
                msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return _broken(name, place, f"it is not JSON: {error}")
    return BadInputError(f"{name} is not JSON: {told}.", field="file")


def of_records(rows: list[dict[str, Any]], places: list[int]) -> pl.DataFrame:
    """Return JSON rows as columns; one of mixed types becomes text, a key that lacks is null.

    >>> of_records([{"a": 1, "b": "x"}, {"a": "two"}], [1, 2]).drop(LINE).rows()
    [('1', 'x'), ('two', None)]
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) > MOST_COLUMNS:
        raise TooLargeError(f"The rows have {len(names):,} columns, at most {MOST_COLUMNS:,}.")
    columns = [pl.Series(LINE, places, dtype=pl.Int64)]
    columns += [_of_values(name, [row.get(name) for row in rows]) for name in names]
    return pl.DataFrame(columns)


def _of_values(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {list} and all(_are_numbers(v) for v in values if v is not None):
        return pl.Series(name, values, dtype=pl.List(pl.Float64), strict=False)
    return pl.Series(name, [_as_text(value) for value in values], dtype=pl.String)


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _parquet(file: Path, name: str, tell: Progress) -> Iterator[pl.DataFrame]:
    try:
        scan = pl.scan_parquet(file)
        rows = scan.select(pl.len()).collect().item()
        size = file.stat().st_size
        start = 0
        for part in _even(scan.collect_batches(chunk_size=ROWS_AT_ONCE, maintain_order=True)):
            tell(size * start // max(rows, 1))
            place = pl.Series(LINE, range(start + 1, start + 1 + part.height), dtype=pl.Int64)
            start += part.height
            yield part.insert_column(0, place)
    except (pl.exceptions.PolarsError, OSError) as error:
        short = " ".join(str(error).split())[:300]
        raise BadInputError(
            f"{name} is not a Parquet file that can be read: {short}.", field="file"
        ) from error


def _even(found: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield rows in parts of :data:`ROWS_AT_ONCE`, however they come."""
    held: pl.DataFrame | None = None
    for frame in found:
        rows = frame if held is None or not held.height else held.vstack(frame)
        while rows.height >= ROWS_AT_ONCE:
            yield rows.head(ROWS_AT_ONCE).rechunk()
            rows = rows.slice(ROWS_AT_ONCE)
        held = rows
    if held is not None and held.height:
        yield held.rechunk()


def _broken(name: str, line: int, why: str) -> BadInputError:
    return BadInputError(
        f"{name}, line {line}: {why}. Nothing of it was taken.", field=f"line {line}"
    )
