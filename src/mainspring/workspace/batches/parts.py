"""What a batch has done so far: a folder beside its output, of one run and no other.

A part is done once its record is there: the rename of the record comes after the rows and the
rows set aside were written and fsynced. Whoever goes on after a kill scores what has no record,
and nothing else; so no row is scored twice or left out, and all parts together are what they
would have been.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any, Self

import msgspec
import polars as pl

from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import new_id
from mainspring.ground.killpoints import here

MANIFEST, LOCK = "manifest.json", ".lock"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One part that is done."""

    rows: int  #: of the source
    bad: int = 0  #: of them set aside
    told: str = ""


class Parts:
    """The parts of one run; a context manager, for nobody else may work on them meanwhile.

    ``run`` names the run, and stays the same when it goes on after a kill (``goes_on``).

    Raises:
        ConflictError: if the folder belongs to another run, or one is at work on it.
    """

    def __init__(self, out: Path, run: dict[str, Any], *, fresh: bool) -> None:
        self.folder = out.parent / f".{out.name}.parts"
        self._out, self._run, self._fresh = out, run, fresh

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self.folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConflictError(
                f"Another run is writing {self._out} just now.", field="out"
            ) from None
        try:
            self._begin()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def _begin(self) -> None:
        manifest = self.folder / MANIFEST
        try:
            before = msgspec.json.decode(manifest.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            before = {}
        wanted = msgspec.to_builtins(self._run)
        different = sorted(key for key in wanted if wanted[key] != before.get(key))
        if before and different and not self._fresh:
            raise ConflictError(
                f"{self.folder} holds parts of another run: {', '.join(different)} differ.",
                field="out",
                hint=f"It was of {before.get('version')}. Say --fresh to begin anew.",
            )
        self.goes_on = bool(before) and not different and not self._fresh
        self.run = str(before["run"]) if self.goes_on else new_id("batch")
        if not self.goes_on:
            for one in self.folder.iterdir():
                if one.name != LOCK:
                    shutil.rmtree(one) if one.is_dir() else one.unlink()
            write(manifest, msgspec.json.encode({**wanted, "run": self.run}))

    def done(self) -> dict[int, Done]:
        """Return the parts that are done, by number."""
        found = {}
        for file in self.folder.glob("*.json"):
            if file.stem.isdecimal():
                found[int(file.stem)] = msgspec.json.decode(file.read_bytes(), type=Done)
        return found

    def keep(self, number: int, rows: pl.DataFrame, bad: list[dict[str, Any]], done: Done) -> None:
        """Keep one part for good.

        Raises:
            OSError: if the disk refuses; the part is not done then.
        """
        file = self.folder / f"{number:08d}.parquet"
        part = file.with_suffix(".new")
        rows.write_parquet(part, compression="lz4")
        _sync(part)
        part.rename(file)
        here("batch.rows")
        if bad:
            write(file.with_suffix(".bad"), b"".join(msgspec.json.encode(b) + b"\n" for b in bad))
        write(file.with_suffix(".json"), msgspec.json.encode(done))
        here("batch.part")

    def files(self) -> list[Path]:
        """Return the rows of all parts, in their order."""
        return [self.folder / f"{number:08d}.parquet" for number in sorted(self.done())]

    def bad(self) -> list[Path]:
        """Return the rows set aside of all parts, in their order."""
        return sorted(self.folder.glob("*.bad"))

    def remove(self) -> None:
        """Take the folder away: the output is there, or cannot be."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write(path: Path, data: bytes) -> None:
    """Put a small file in its place, whole and for good."""
    part = path.with_name(f"{path.name}.new")
    part.write_bytes(data)
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
