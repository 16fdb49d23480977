"""Put values into files, where a program can read them, and say them as words of a command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.outputs import is_array, is_frame
from mainspring.pipelines.plain import is_simple, simple, to_json

if TYPE_CHECKING:
    import polars as pl

PARQUET, LINES, CSV = (".parquet", ".pq"), (".jsonl", ".ndjson"), (".csv", ".tsv", ".txt")


def write_frame(rows: pl.DataFrame, file: Path) -> None:
    """Write rows in the form that a file's name says.

    Raises:
        BadInputError: if the name says none of CSV, JSON lines and Parquet.
    """
    kind = file.suffix.lower()
    if kind in PARQUET:
        rows.write_parquet(file)
    elif kind in LINES:
        rows.write_ndjson(file)
    elif kind in CSV:
        # As people and pandas write times, and exact to what a column holds.
        rows.write_csv(
            file,
            separator="\t" if kind == ".tsv" else ",",
            datetime_format="%Y-%m-%d %H:%M:%S%.f",
        )
    else:
        raise BadInputError(
            f"{file.name} is neither CSV, JSON lines nor Parquet by its name.", field="rows"
        )


def put(value: Any, file: Path, what: str) -> Path:
    """Put a value into a file of that name, or a folder; return it.

    A frame is written as the name's ending says; text and bytes as they are; an array as
    ``.npy``; plain data as JSON; a file or a folder is copied.

    Raises:
        BadInputError: if a value cannot be in a file, with ``what`` as its name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, Path):
        _copy(value, file, what)
    elif is_frame(value):
        write_frame(_polars(value), file)
    elif isinstance(value, str):
        file.write_text(value, "utf-8")
    elif isinstance(value, bytes):
        file.write_bytes(value)
    elif is_array(value):
        import numpy as np

        with file.open("wb") as opened:
            np.save(opened, value, allow_pickle=False)
    elif is_simple(value):
        file.write_bytes(to_json(simple(value)))
    else:
        kind = type(value)
        raise BadInputError(
            f"{what} is a {kind.__module__}.{kind.__qualname__}, which has no form as a file.",
            field=what,
            hint="Give it a frame, an array, text, bytes, plain data, a file or a folder.",
        )
    return file


def named(name: str, value: Any) -> str:
    """Return the file name that fits a value: ``rows.parquet``, ``weights.npy``, and so on."""
    if isinstance(value, Path):
        return value.name
    if is_frame(value):
        return f"{name}.parquet"
    if is_array(value):
        return f"{name}.npy"
    return f"{name}.bin" if isinstance(value, bytes) else f"{name}.json"


def words(value: Any) -> list[str] | None:
    """Return a value as words of a command; None if it has to be a file.

    >>> words(0.5), words(True), words(["a", 1]), words({"a": 1})
    (['0.5'], ['true'], ['a', '1'], None)
    """
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str):
        return [value]
    if isinstance(value, int | float):
        return [repr(value)]
    if isinstance(value, Path):
        return [str(value.absolute())]
    if isinstance(value, list | tuple):
        inner = [words(part) for part in value if not isinstance(part, list | tuple)]
        if len(inner) == len(value) and None not in inner:
            return [word for one in inner for word in one or []]
    return None


def _copy(source: Path, target: Path, what: str) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode & 0o777 | 0o600)
    else:
        raise BadInputError(f"{what}: there is no file {source}.", field=what)


def _polars(value: Any) -> Any:
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    return value if isinstance(value, pl.DataFrame) else pl.from_pandas(value)
