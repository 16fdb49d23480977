"""Make the output of a batch of its parts: one file, or a folder of them; there whole or not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.workspace.batches.parts import Parts
from mainspring.workspace.feeding import reading

ENDINGS = (".csv", ".parquet", ".jsonl", ".ndjson")
_ROWS_A_GROUP = 50_000


def check_out(out: Path, files: list[Path]) -> None:
    """Refuse an output that cannot be, or that would overwrite what is read.

    Raises:
        BadInputError: saying why.
    """
    if out.suffix and out.suffix.lower() not in ENDINGS:
        told = "neither with .csv nor with .parquet or .jsonl"
        raise BadInputError(
            f"{out} ends {told}.", field="out", hint="A name without an ending is a folder."
        )
    if out.suffix and out.is_dir():
        raise BadInputError(f"{out} is a folder.", field="out")
    if out.exists() and any(file.exists() and out.samefile(file) for file in files):
        raise BadInputError(f"{out} is the file itself: name another.", field="out")
    if not out.parent.is_dir():
        raise NotWrittenError(
            f"{out} cannot be written: there is no folder {out.parent}.", field="out"
        )


def join(parts: Parts, out: Path) -> Path:
    """Return the whole output, made beside the parts and not yet in its place."""
    whole = parts.folder / f"whole{out.suffix.lower()}"
    files = parts.files()
    if not out.suffix:
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        for number, file in enumerate(files):
            part = pl.read_parquet(file).drop(reading.LINE)
            part.write_parquet(whole / f"part-{number:08d}.parquet", row_group_size=_ROWS_A_GROUP)
        return whole
    frames = [pl.scan_parquet(file, glob=False) for file in files]
    rows = pl.concat(frames, how="diagonal_relaxed").drop(reading.LINE)
    if whole.suffix == ".parquet":
        rows.sink_parquet(whole, row_group_size=_ROWS_A_GROUP)
    elif whole.suffix == ".csv":
        _check_flat(rows, out)
        rows.sink_csv(whole)
    else:
        rows.sink_ndjson(whole)
    return whole


def put(whole: Path, out: Path) -> None:
    """Put the whole output in its place, over what a run before made there."""
    if whole.is_dir() and out.is_dir():
        before = whole.with_name("before")
        out.rename(before)
        whole.rename(out)
        shutil.rmtree(before, ignore_errors=True)
    else:
        whole.replace(out)


def read(parts: Parts) -> Iterator[pl.DataFrame]:
    """Yield the scored rows of all parts, with the lines they stood in."""
    for file in parts.files():
        yield pl.read_parquet(file)


class NotWrittenError(BadInputError):
    """The output cannot be written; what was scored is kept."""


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say where it was that nothing could be written."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        short = " ".join(str(error).split())[:300]
        raise NotWrittenError(
            f"{out} cannot be written: {short}.",
            field="out",
            hint="What was scored is kept: the same command goes on where it was.",
        ) from error


def _check_flat(rows: pl.LazyFrame, out: Path) -> None:
    for name, dtype in rows.collect_schema().items():
        if dtype.is_nested():
            raise BadInputError(
                f"Column {name!r} holds {dtype}, which a CSV cannot.",
                field=name,
                hint=f"Name {out.with_suffix('.parquet').name} instead.",
            )
