"""Put rows that were answered elsewhere into a folder of captures: all of a batch, or none.

Rows are written to files that do not count yet, in a folder of their own. One rename of the
index makes all of them count, together with the name of their batch. So a batch is there whole
or not at all, however large it is and wherever a crash falls, and sent again it is not there
twice.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
import polars as pl

from mainspring.ground.killpoints import here
from mainspring.scaling.serving import damage, segments, shelf
from mainspring.scaling.serving.capture import FED
from mainspring.scaling.serving.index import Kept, size
from mainspring.scaling.serving.segments import PARQUET

TURN = ".turn"  #: locked by the batch whose turn it is
FOLDER = "feeding"  #: what is being written lies below it
ROWS_A_FILE = 100_000  # so large that compaction leaves the files as they are
#: Names of batches that the index remembers: those that the store may not know of yet.
REMEMBERED = 200


class Stage:
    """The rows of one batch on their way into a folder of captures.

    Use it as a context manager: what was not published is deleted at its end.
    """

    def __init__(self, folder: Path) -> None:
        self.rows = 0
        self._folder = folder
        self._own = folder / FOLDER / os.urandom(6).hex()
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._files: list[Kept] = []
        self._mark: float | None = None

    def __enter__(self) -> Self:
        self._own.mkdir(mode=0o700, parents=True)
        # Locked for as long as we live, so that a later one knows a dead one's folder.
        self._lock = os.open(self._own / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._sweep()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)
        shutil.rmtree(self._own, ignore_errors=True)

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows in the form of captures; they go to a file once there are enough."""
        if rows.height == 0:
            return
        self.rows += rows.height
        self._waiting.append(rows)
        self._waiting_rows += rows.height
        if self._waiting_rows >= ROWS_A_FILE:
            self._write()

    def seal(self) -> tuple[float, float] | None:
        """Write what is left and return (oldest, newest) event time; None without a row."""
        self._write()
        if not self._files:
            return None
        return min(f.low for f in self._files), max(f.high for f in self._files)

    def publish(self, batch: str) -> bool:
        """Make the rows count; False, and nothing changed, if the batch's rows do already.

        1. The files, whole and fsynced, get their places. They do not count yet.
        2. The index is replaced: from here on all of them count, and the batch is known.
        """
        self._write()
        with shelf.changing(self._folder) as index:
            if batch in index.fed:
                return False
            for file in self._files:
                (self._own / file.name).rename(self._folder / file.name)
            (self._folder / FED).touch(mode=0o600)
            here("feed.moved")
            newest = max((m for m in (index.newest, self._mark) if m is not None), default=None)
            fed = dict(list(index.fed.items())[-REMEMBERED:]) | {batch: self.rows}
            files = [*index.files, *self._files]
            shelf.replace(
                self._folder, msgspec.structs.replace(index, files=files, newest=newest, fed=fed)
            )
        here("feed.published")
        return True

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = pl.concat(self._waiting, how="diagonal_relaxed")
        rows = rows.sort("_time", maintain_order=True)
        self._waiting, self._waiting_rows = [], 0
        span = segments.span_of([rows])
        received = float(rows["_received"].max() or 0.0)  # type: ignore[arg-type]
        stem = f"{int(received * 1000):013d}-{os.urandom(6).hex()}-000000"
        name = segments.sealed_name(stem, span, PARQUET)
        path = self._own / name
        rows.write_parquet(path, compression="zstd", row_group_size=50_000)
        path.chmod(0o600)
        _sync(path)
        mark = segments.mark_of([rows])
        self._mark = max((m for m in (self._mark, mark) if m is not None), default=None)
        self._files.append(
            Kept(
                name=name,
                low=span.low,
                high=span.high,
                rows=rows.height,
                bytes=size(path),
                digest=damage.digest_of(path),
                received=received,
            )
        )

    def _sweep(self) -> None:
        """Delete what those left behind that died."""
        for other in (self._folder / FOLDER).iterdir():
            # Beside the folders another may just be looking at its clock.
            if other.is_dir() and other != self._own and not _alive(other):
                shutil.rmtree(other, ignore_errors=True)


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Let batches that are windows of their own come one after another.

    Each takes its moment from the newest that counts: two at once would be one window, and one
    that took longer than the next would lie before what was judged already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder / TURN, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # the kernel lets go of it however its owner ends
        yield
    finally:
        os.close(fd)


def _alive(folder: Path) -> bool:
    try:
        fd = os.open(folder / ".lock", os.O_WRONLY)
    except FileNotFoundError:
        return _age_s(folder) < 60.0  # it may be about to make its lock
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return _age_s(folder) < 5.0  # made, and not locked yet


def _age_s(folder: Path) -> float:
    probe = folder.parent / f".{os.urandom(4).hex()}"
    try:
        probe.touch()  # the disk's own clock, for its own times
        return probe.stat().st_mtime - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
