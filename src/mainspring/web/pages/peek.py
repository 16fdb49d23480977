"""Read the first rows of a Parquet file in a process of its own, with a bound on its memory.

A few bytes of a Parquet file can unfold to gigabytes. The server must not be the one to find
out: a child reads them, may take so much memory and so much time, and answers in JSON.

Run as a program: ``python -m mainspring.web.pages.peek FILE ROWS COLUMNS``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

_MEMORY = 2 << 30  # address space: polars alone maps most of a gigabyte
_SECONDS = 20  # of the processor: what a busy machine makes it wait is not its doing
_PATIENCE = 90  # seconds in all
_TEXT = 300  # of a cell


class Rows(msgspec.Struct, frozen=True):
    """The first rows of a table."""

    columns: list[str]
    rows: list[list[Any]]
    height: int


def parquet(file: Path, rows: int, columns: int) -> Rows | str:
    """Return the first rows of a Parquet file, or in words why they cannot be read."""
    command = [sys.executable, "-m", __spec__.name, str(file), str(rows), str(columns)]
    # Every thread of its own would take address space, of which there is little.
    env = {**os.environ, "POLARS_MAX_THREADS": "1"}
    try:
        ended = subprocess.run(  # noqa: S603  our own program
            command, capture_output=True, timeout=_PATIENCE, check=False, env=env
        )
    except subprocess.TimeoutExpired:
        return f"Reading it took more than {_PATIENCE} seconds."
    if ended.returncode != 0:
        return "It cannot be read as Parquet within the memory allowed for it."
    return msgspec.json.decode(ended.stdout, type=Rows)


def main() -> None:
    """Write the first rows of a file to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    import polars as pl

    file, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    scan = pl.scan_parquet(file)
    names = scan.collect_schema().names()
    # One column more, so that it can be said that there are more.
    frame = scan.select(names[: columns + 1]).head(rows).collect()
    height = int(scan.select(pl.len()).collect().item())
    told = Rows(names, [[_plain(cell) for cell in row] for row in frame.iter_rows()], height)
    sys.stdout.buffer.write(msgspec.json.encode(told))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_TEXT]


if __name__ == "__main__":
    main()
