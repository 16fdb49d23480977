"""Keep sealed capture segments: fold them into Parquet, count what had to be thrown away.

``index.json`` says which Parquet files count and which segments are folded into them. It is
replaced whole by a rename, and that is the one moment at which a fold happens: before it the
segments count, after it the Parquet file does. So each row is read exactly once, wherever a
crash falls. Only one process at a time changes a folder; readers take no lock.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import polars as pl

from mainspring.scaling.serving import damage, segments
from mainspring.scaling.serving.index import INDEX, Index, Kept, read_index, size
from mainspring.scaling.serving.segments import EMPTY, OPEN, PARQUET, SEALED, Span

_log = logging.getLogger(__name__)
ALIKE = 10  # files of like size are joined once there are that many
MOST_ROWS = 100_000  # files from here on stay as they are


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted to stay within the budget."""

    rows: int = 0
    bytes: int = 0
    files: int = 0


def seal_orphans(folder: Path) -> int:
    """Seal the open segments of writers that died; return how many there were.

    A living writer holds a lock on its file; the kernel lets go of it however the writer ends.
    """
    sealed = 0
    for path in sorted(folder.glob(f"*{OPEN}")):
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue  # sealed by its writer meanwhile
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(path)):  # noqa: PTH116
                _seal(path)
                sealed += 1
        except (BlockingIOError, FileNotFoundError):
            continue
        finally:
            os.close(fd)
    return sealed


def _seal(path: Path) -> None:
    span = segments.span_of(segments.rows_of(path))
    if span.rows:
        path.rename(path.with_name(segments.sealed_name(path.stem, span)))
    else:
        path.unlink()


def compact(folder: Path) -> int:
    """Fold sealed segments into Parquet files and return how many rows were folded.

    Raises:
        OSError: if the disk fails; what was there before still counts.
    """
    if not folder.is_dir():
        return 0
    with _alone(folder):
        seal_orphans(folder)
        index = _tidy(folder, read_index(folder))
        fresh = sorted(p for p in folder.glob(f"*{SEALED}") if p.name not in index.folded)
        rows = 0
        if fresh:
            parts, lost = [], {}
            for path in fresh:
                told: list[str] = []
                read = segments.rows_of(path, told)
                if told:
                    lost[path.name] = _lost(path, read)
                    _log.error("%s/%s is damaged: %s", folder.name, path.name, told[0])
                parts += read
            rows = sum(part.height for part in parts)
            index = _damaged(folder, index, lost)
            index = _fold(folder, index, parts, [path.name for path in fresh], [])
        index = _without_unsound(folder, index, _alike(index.files) or [])
        while (alike := _alike(index.files)) is not None:
            parts = [pl.read_parquet(folder / file.name) for file in alike]
            index = _fold(folder, index, parts, [], alike)
        return rows


def enforce_budget(folder: Path, most_bytes: int) -> Dropped:
    """Delete the oldest Parquet files until a folder holds at most ``most_bytes``.

    Open and sealed segments count, and are deleted only after they were folded.
    """
    if not folder.is_dir():
        return Dropped()
    with _alone(folder):
        index = read_index(folder)
        total = sum(size(path) for path in folder.iterdir() if path.name not in index.folded)
        files = list(index.files)
        gone: list[Kept] = []
        while files and total > most_bytes:
            gone.append(files.pop(0))
            total -= gone[-1].bytes
        if not gone:
            return Dropped()
        dropped = Dropped(
            rows=sum(file.rows for file in gone),
            bytes=sum(file.bytes for file in gone),
            files=len(gone),
        )
        _write_index(
            folder,
            msgspec.structs.replace(
                index,
                files=files,
                dropped_rows=index.dropped_rows + dropped.rows,
                dropped_bytes=index.dropped_bytes + dropped.bytes,
            ),
        )
        _delete(folder, [file.name for file in gone])
        return dropped


def quarantine(folder: Path, names: Sequence[str]) -> None:
    """Set damaged Parquet files aside, if they are damaged indeed, and count their rows.

    Raises:
        OSError: if the disk does not let it.
    """
    with _alone(folder):
        index = read_index(folder)
        _without_unsound(folder, index, [file for file in index.files if file.name in names])


def _without_unsound(folder: Path, index: Index, files: Sequence[Kept]) -> Index:
    bad = damage.sound(folder, files)[1]
    if not bad:
        return index
    lost = {file.name: file.rows for file in bad}
    index = _damaged(folder, index, lost)
    kept = [file for file in index.files if file.name not in lost]
    index = msgspec.structs.replace(index, files=kept)
    _write_index(folder, index)
    _delete(folder, list(lost))
    return index


def _damaged(folder: Path, index: Index, lost: dict[str, int]) -> Index:
    """Keep damaged files where they do not count; return the index that tells of them."""
    for name in lost:
        damage.set_aside(folder, name)
    return msgspec.structs.replace(
        index,
        damaged=damage.counted(index, lost.items()),
        damaged_rows=index.damaged_rows + sum(lost.values()),
    )


def _lost(path: Path, read: Sequence[pl.DataFrame]) -> int:
    """Return how many rows of a segment could not be read, by what its name says."""
    span = segments.span_in(path.name)
    return 0 if span is None else max(span.rows - sum(part.height for part in read), 0)


def crowded(folder: Path) -> str | None:
    """Return the name of the newest of files that should be joined, or None. Cheap to ask."""
    found = _alike(read_index(folder).files)
    return found[-1].name if found else None


@contextmanager
def changing(folder: Path) -> Iterator[Index]:
    """Have a folder to oneself and its index as it stands; replace it with :func:`replace`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        yield read_index(folder)


def replace(folder: Path, index: Index) -> None:
    """Put another index in place, at once and for good; the caller has the folder to itself."""
    _write_index(folder, index)


def _alike(files: Sequence[Kept]) -> list[Kept] | None:
    """Return the files of like size that should be joined, if there are enough."""
    levels: dict[int, list[Kept]] = {}
    for file in files:
        if file.rows < MOST_ROWS:
            levels.setdefault(len(str(file.rows)), []).append(file)
    return next((level for level in levels.values() if len(level) >= ALIKE), None)


def _fold(
    folder: Path,
    index: Index,
    parts: Sequence[pl.DataFrame],
    sealed: list[str],
    joined: list[Kept],
) -> Index:
    """Put rows into one new Parquet file.

    1. The file is written and fsynced under a name that does not count yet.
    2. The index is replaced: from here on the new file counts, and what it holds does not.
    3. What does not count any more is deleted; a crash before leaves that to the next time.
    """
    files = [file for file in index.files if file not in joined]
    span = segments.span_of(parts)
    newest = index.newest
    if span.rows:
        files.append(_write_parquet(folder, parts, span, sealed or [f.name for f in joined]))
        mark = segments.mark_of(parts)
        newest = max((m for m in (newest, mark) if m is not None), default=None)
    folded = index.folded + sealed
    after = msgspec.structs.replace(index, files=files, folded=folded, newest=newest)
    _write_index(folder, after)
    _delete(folder, [*sealed, *(file.name for file in joined)])
    return after


def _write_parquet(
    folder: Path, parts: Sequence[pl.DataFrame], span: Span, sources: list[str]
) -> Kept:
    rows = pl.concat(parts, how="diagonal_relaxed").sort("_time", maintain_order=True)
    stem = sources[0].partition("_")[0].partition("+")[0]
    # Where a file by that name counts already, one more plus makes another name of it.
    name = segments.sealed_name(f"{stem}+{os.urandom(4).hex()}", span, PARQUET)
    part = folder / f"{name}.part"
    rows.write_parquet(part, compression="zstd", row_group_size=50_000)
    part.chmod(0o600)
    _sync(part)
    path = part.rename(folder / name)
    return Kept(
        name=name,
        low=span.low,
        high=span.high,
        rows=rows.height,
        bytes=size(path),
        digest=damage.digest_of(path),
        received=float(rows["_received"].max() or 0.0),  # type: ignore[arg-type]
    )


def _write_index(folder: Path, index: Index) -> None:
    part = folder / f"{INDEX}.part"
    part.touch(mode=0o600)
    part.write_bytes(msgspec.json.encode(index))
    _sync(part)
    part.rename(folder / INDEX)
    _sync(folder)


def _tidy(folder: Path, index: Index) -> Index:
    """Delete what a crash left behind: folded segments, files that never came to count."""
    counting = {file.name for file in index.files}
    stray = [p.name for p in folder.glob(f"*{PARQUET}") if p.name not in counting]
    stray += [p.name for p in folder.glob("*.part")]
    _delete(folder, [*stray, *index.folded])
    return msgspec.structs.replace(index, folded=[]) if index.folded else index


def _delete(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


__all__ = [
    "EMPTY",
    "Dropped",
    "Index",
    "changing",
    "compact",
    "crowded",
    "enforce_budget",
    "quarantine",
    "read_index",
    "replace",
    "seal_orphans",
]
