"""Bring files of a version back: each written aside, its digest checked, then given its name."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
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
_TOGETHER = 10_000  # files whose places are in memory together
_NUMBERS = count()  # of files that are written aside


def contents(entry: Entry, objects: Readable) -> Iterator[bytes]:
    """Return a file's bytes piece by piece; whoever takes them all checks their digest.

    Raises:
        NotFoundError: if an object that holds them is gone.
    """
    for part in entry.places:
        for start in range(0, part.length, _PIECE):
            length = min(_PIECE, part.length - start)
            yield objects.part(part.object, part.offset + start, length)


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

    packed = [entry for entry in entries if _is_packed(entry)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
        for run in pool.map(lambda run: _fetch_run(run, objects, root, mode), _runs(packed)):
            done(run)
        rest = [entry for entry in entries if not _is_packed(entry)]
        for one in pool.map(lambda one: _fetch_one(one, objects, root, mode), rest):
            done([one])


def make(
    entries: Iterable[Entry],
    objects: Readable,
    root: Path,
    mode: int,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Write files, verified, into a new folder that nobody knows of yet, in no order.

    So each is made under its own name at once, which costs half of what :func:`fetch_all` does;
    whoever dies on the way leaves a folder to take away. ``tell`` is told how many are there.
    """
    mask, at, last = _mask(root), 0, ""
    each = iter(entries)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
        while some := list(islice(each, _TOGETHER)):
            for entry in some:
                folder = entry.path.rpartition("/")[0]
                if folder != last:
                    with _told(root / folder):
                        os.makedirs(root / folder, exist_ok=True)  # noqa: PTH103  thousands
                    last = folder
            packed = [entry for entry in some if _is_packed(entry)]
            make_run = partial(_make_run, objects=objects, root=str(root), mode=mode, mask=mask)
            for _ in pool.map(make_run, _runs(packed)):
                pass
            rest = [entry for entry in some if not _is_packed(entry)]
            for _ in pool.map(lambda one: _fetch_one(one, objects, root, mode), rest):
                pass
            at += len(some)
            tell(at)


def _mask(folder: Path) -> int:
    """Return which rights a new file in a folder does not get."""
    probe = folder / f"{PARTIAL}probe"
    with _told(probe):
        number = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777)
        try:
            return 0o777 & ~os.fstat(number).st_mode
        finally:
            os.close(number)
            probe.unlink()


def _make_run(run: Sequence[Entry], objects: Readable, root: str, mode: int, mask: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    for entry, piece in _pieces(run, objects):
        path, its_mode = f"{root}/{entry.path}", _mode(entry, mode)
        with _told(path):
            number = os.open(path, flags, its_mode)
            try:
                if its_mode & mask:
                    os.fchmod(number, its_mode)
                _write(number, piece)
            finally:
                os.close(number)
        here("data.fetched")


def _fetch_one(entry: Entry, objects: Readable, root: Path, mode: int) -> Entry:
    fetch(entry, objects, root / entry.path, mode)
    here("data.fetched")
    return entry


def _fetch_run(run: Sequence[Entry], objects: Readable, root: Path, mode: int) -> Sequence[Entry]:
    for entry, piece in _pieces(run, objects):
        with _aside(root / entry.path, _mode(entry, mode)) as (number, _):
            _write(number, piece)
        here("data.fetched")
    return run


def _pieces(run: Sequence[Entry], objects: Readable) -> Iterator[tuple[Entry, bytes]]:
    """Go through small files that lie near each other in one object, with their bytes."""
    first, last = run[0].parts[0], run[-1].parts[0]
    data = objects.part(first.object, first.offset, last.offset + last.length - first.offset)
    for entry in run:
        start = entry.parts[0].offset - first.offset
        piece = data[start : start + entry.size]
        _verify(entry, hashlib.sha256(piece).hexdigest())
        yield entry, piece


def _is_packed(entry: Entry) -> bool:
    return len(entry.parts) == 1 and entry.size < SMALL


def _runs(packed: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut small files into such as lie near each other."""
    run: list[Entry] = []
    for entry in sorted(packed, key=lambda one: (one.parts[0].object, one.parts[0].offset)):
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
            number, name = _new(target.parent, mode)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            number, name = _new(target.parent, mode)
        try:
            try:
                yield number, name
            finally:
                os.close(number)
            if stat.S_IMODE(os.stat(name).st_mode) != mode:  # noqa: PTH116
                os.chmod(name, mode)  # noqa: PTH101
            os.replace(name, target)  # noqa: PTH105  thousands of them
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _new(folder: Path, mode: int) -> tuple[int, str]:
    """Return a new file in a folder, and its name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        name = f"{folder}/{PARTIAL}{os.getpid()}-{next(_NUMBERS)}"
        try:
            return os.open(name, flags, mode), name
        except FileExistsError:  # of one that died and had our number
            continue


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
def _told(target: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
