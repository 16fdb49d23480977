"""Bring files of a version back: each written aside, its digest checked, then given its name."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mainspring.ground.errors import DamagedError, StoreError
from mainspring.ground.killpoints import here
from mainspring.ground.ports import Readable
from mainspring.pipelines.data.manifest import Entry
from mainspring.pipelines.data.reading import SMALL
from mainspring.pipelines.data.walk import PARTIAL

_PIECE = 8 << 20
_RUN = 16 << 20  # bytes of an object that are read at once for the small files in it
_AT_ONCE = 4


def contents(entry: Entry, objects: Readable) -> Iterator[bytes]:
    """Return a file's bytes piece by piece; whoever takes them all checks their digest.

    Raises:
        NotFoundError: if an object that holds them is gone.
    """
    for part in entry.places:
        for start in range(0, part.length, _PIECE):
            count = min(_PIECE, part.length - start)
            yield objects.part(part.object, part.offset + start, count)


def read(entry: Entry, objects: Readable) -> bytes:
    """Return a file's bytes, verified.

    Raises:
        NotFoundError, DamagedError: if they are gone or changed.
    """
    data = b"".join(contents(entry, objects))
    _verify(entry, hashlib.sha256(data).hexdigest())
    return data


def fetch(entry: Entry, objects: Readable, target: Path, mode: int = 0o644) -> None:
    """Write a file, verified, in one step; what stood there under its name is replaced.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone or changed.
        StoreError: if it cannot be written.
    """
    mode = _mode(entry, mode)
    with _aside(target, mode) as (number, name):
        if not entry.parts and entry.size:
            objects.fetch(entry.sha256, Path(name))  # where the file system can, no copy
            return
        found = hashlib.sha256()
        for piece in contents(entry, objects):
            found.update(piece)
            _write(number, piece)
        _verify(entry, found.hexdigest())


def fetch_all(
    entries: Sequence[Entry],
    objects: Readable,
    root: Path,
    *,
    mode: int = 0o644,
    tell: Callable[[int, int], None] = lambda _at, _of: None,
) -> None:
    """Write files below a folder, or the one file ``root``; see :func:`fetch`.

    Small files that lie side by side in one object are read together. ``tell`` is told how
    many bytes are there, of how many.
    """
    at, total = 0, sum(entry.size for entry in entries)

    def done(entries: Sequence[Entry]) -> None:
        nonlocal at
        at += sum(entry.size for entry in entries)
        tell(at, total)

    packed = sorted(
        (entry for entry in entries if len(entry.parts) == 1 and entry.size < SMALL),
        key=lambda entry: (entry.parts[0].object, entry.parts[0].offset),
    )
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
        for run in pool.map(lambda run: _fetch_run(run, objects, root, mode), _runs(packed)):
            done(run)
        names = {entry.path for entry in packed}
        rest = [entry for entry in entries if entry.path not in names]
        for one in pool.map(lambda one: _fetch_one(one, objects, root, mode), rest):
            done([one])


def _fetch_one(entry: Entry, objects: Readable, root: Path, mode: int) -> Entry:
    fetch(entry, objects, root / entry.path, mode)
    here("data.fetched")
    return entry


def _fetch_run(run: Sequence[Entry], objects: Readable, root: Path, mode: int) -> Sequence[Entry]:
    first, last = run[0].parts[0], run[-1].parts[0]
    data = objects.part(first.object, first.offset, last.offset + last.length - first.offset)
    for entry in run:
        start = entry.parts[0].offset - first.offset
        piece = data[start : start + entry.size]
        _verify(entry, hashlib.sha256(piece).hexdigest())
        with _aside(root / entry.path, _mode(entry, mode)) as (number, _):
            _write(number, piece)
        here("data.fetched")
    return run


def _runs(packed: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut entries, in the order of their places, into such as lie near each other."""
    run: list[Entry] = []
    for entry in packed:
        part = entry.parts[0]
        first = run[0].parts[0] if run else part
        end = part.offset + part.length
        if run and (part.object != first.object or end - first.offset > _RUN):
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def _mode(entry: Entry, mode: int) -> int:
    return mode | (mode & 0o444) >> 2 if entry.executable else mode


@contextmanager
def _aside(target: Path, mode: int) -> Iterator[tuple[int, str]]:
    """Give a new file to write to, and its name; it becomes ``target`` at the end."""
    with _told(target):
        try:
            number, name = tempfile.mkstemp(dir=target.parent, prefix=PARTIAL)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=target.parent, prefix=PARTIAL)
        try:
            try:
                yield number, name
            finally:
                os.close(number)
            os.chmod(name, mode)  # noqa: PTH101
            os.replace(name, target)  # noqa: PTH105  thousands of them
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _write(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]


def _verify(entry: Entry, found: str) -> None:
    if found != entry.sha256:
        raise DamagedError(
            f"{entry.path} is damaged: its bytes have the digest {found} instead of"
            f" {entry.sha256}.",
            hint="Pull the version again from a place that has it.",
        )


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
