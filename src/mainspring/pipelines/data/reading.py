"""Read the files of a folder as they were found there, and tell their digests."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO, TypeVar

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.data.walk import Found, shown

SMALL = 1 << 20  #: bytes; a file below this is packed
TOGETHER = 500  #: small files that one thread reads before another is asked
PACK = 16 << 20  #: bytes of a pack of small files, about
BATCH = 5_000  #: small files that are looked up together
AT_ONCE = 4  #: more than this machine may have cores: a disk that seeks answers several at once

T = TypeVar("T")
Read = tuple[bytes, str]
"""What was read of a file, and its digest."""


@contextmanager
def opened(root: Path, file: Found) -> Iterator[BinaryIO]:
    """Open a file of the folder ``root`` (or ``root`` itself) that was found there.

    Raises:
        BadInputError: if it cannot be read.
    """
    path = root / file.path if root.is_dir() else root
    try:
        with os.fdopen(_descriptor(path, file), "rb", buffering=0) as source:
            yield source
    except OSError as error:
        raise unreadable(file.path, error) from error


def _descriptor(path: Path | str, file: Found) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hold us up
    try:
        number = os.open(path, flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        # A link that was followed when it was found is followed to the same file only.
        number = os.open(path, flags)
        if os.fstat(number).st_ino == file.inode:
            return number
        os.close(number)
        raise
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise OSError(errno.EINVAL, "it is no file any more")


def unreadable(path: str, error: OSError) -> BadInputError:
    """Return the error that says that a file cannot be read."""
    return BadInputError(
        f"{shown(path)} cannot be read: {error.strerror or error}.",
        field="path",
        hint="Nothing was added. Make it readable, or move it away.",
    )


def read_small(root: str, file: Found) -> bytes:
    """Return the bytes of a small file, of the folder ``root`` (with ``/``) or, without, alone.

    Raises:
        BadInputError: if it cannot be read, or has grown large meanwhile.
    """
    try:
        number = _descriptor(root + file.path if root.endswith("/") else root, file)
        try:
            data = os.read(number, file.size + 1)
            if len(data) != file.size:  # it changed this moment, or its system gives it in parts
                while len(data) <= SMALL and (more := os.read(number, SMALL)):
                    data += more
        finally:
            os.close(number)
    except OSError as error:
        raise unreadable(file.path, error) from error
    if len(data) > SMALL:
        raise BadInputError(
            f"{shown(file.path)} grows while it is read.", field="path", hint="Add it again."
        )
    return data


def at(root: Path) -> str:
    """Return a place as :func:`read_small` wants it."""
    return f"{root}/" if root.is_dir() else str(root)


def read_ahead(
    root: Path, windows: Iterable[T], files_of: Callable[[T], Sequence[Found]]
) -> Iterator[tuple[T, list[Read]]]:
    """Read the small files of some windows, those of the next while one is kept.

    Raises:
        BadInputError: if one cannot be read.
    """
    where = at(root)

    def some(files: Sequence[Found]) -> list[Read]:
        read = (read_small(where, file) for file in files)
        return [(data, hashlib.sha256(data).hexdigest()) for data in read]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read") as pool:
        waiting: deque[tuple[T, list[Future[list[Read]]]]] = deque()
        try:
            for window in windows:
                files = files_of(window)
                cuts = range(0, len(files), TOGETHER)
                waiting.append(
                    (window, [pool.submit(some, files[at : at + TOGETHER]) for at in cuts])
                )
                if len(waiting) > 1:
                    yield _taken(*waiting.popleft())
            while waiting:
                yield _taken(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(window: T, asked: list[Future[list[Read]]]) -> tuple[T, list[Read]]:
    return window, [one for future in asked for one in future.result()]


def batches(files: Iterable[Found]) -> Iterator[list[Found]]:
    """Cut small files into such as are kept, or sent, together."""
    batch: list[Found] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if size >= PACK or len(batch) >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def digests_of(
    root: Path, files: Iterable[Found], tell: Callable[[int], None] = lambda _: None
) -> Iterator[bytes]:
    """Go through the sha256 of files that were found, in their order, several read side by side.

    Raises:
        BadInputError: if one cannot be read.
    """
    where = at(root)
    done = 0

    def some(files: Sequence[Found]) -> list[bytes]:
        return [
            hashlib.sha256(read_small(where, file)).digest()
            if file.size < SMALL
            else _digest_of(root, file)
            for file in files
        ]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="digest") as pool:
        waiting: deque[Future[list[bytes]]] = deque()
        try:
            for group in chain(_groups(files), repeat(None, 2 * AT_ONCE)):
                if group is not None:
                    waiting.append(pool.submit(some, group))
                if waiting and (group is None or len(waiting) >= 2 * AT_ONCE):
                    for digest in waiting.popleft().result():
                        done += 1
                        yield digest
                    tell(done)
        finally:
            pool.shutdown(cancel_futures=True)


def _groups(files: Iterable[Found]) -> Iterator[list[Found]]:
    """Cut files into such as one thread reads: many small ones, or a large one."""
    group: list[Found] = []
    for file in files:
        group.append(file)
        if file.size >= SMALL or len(group) >= TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _digest_of(root: Path, file: Found) -> bytes:
    found = hashlib.sha256()
    with opened(root, file) as source:
        for piece in blocks(source, SMALL):
            found.update(piece)
    return found.digest()


class Hashing:
    """The sha256 of bytes as they come, found by a thread of its own."""

    def __init__(self) -> None:
        self.size = 0  #: bytes so far
        self._found = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._last: Future[None] | None = None

    def __enter__(self) -> Hashing:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def update(self, data: bytes) -> None:
        """Take some bytes; those before are done with by then."""
        if self._last is not None:
            self._last.result()
        self.size += len(data)
        self._last = self._pool.submit(self._found.update, data)

    def hexdigest(self) -> str:
        """Return the digest of all of them."""
        if self._last is not None:
            self._last.result()
        return self._found.hexdigest()


def blocks(source: BinaryIO, size: int = SMALL) -> Iterator[memoryview]:
    """Return the bytes of a file, block by block; a block is overwritten by the next.

    It begins where a page of memory does, so that objects may write it straight to a disk.
    """
    buffer = memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]
