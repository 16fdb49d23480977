"""Read the files of a folder as they were found there, and tell their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.data.walk import Found, shown

SMALL = 1 << 20  #: bytes; a file below this is packed
TOGETHER = 500  #: small files that one thread reads before another is asked
AT_ONCE = 4  #: more than this machine may have cores: a disk that seeks answers several at once


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


def digests_of(
    root: Path, files: Sequence[Found], tell: Callable[[int, int], None]
) -> dict[str, str]:
    """Return the sha256 of files that were found, by path, several read side by side.

    Raises:
        BadInputError: if one cannot be read.
    """
    found: dict[str, str] = {}
    small = [file for file in files if file.size < SMALL]
    large = [file for file in files if file.size >= SMALL]
    where = at(root)

    def some(start: int) -> list[tuple[str, str]]:
        return [
            (file.path, hashlib.sha256(read_small(where, file)).hexdigest())
            for file in small[start : start + TOGETHER]
        ]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="digest") as pool:
        for told in pool.map(some, range(0, len(small), TOGETHER)):
            found.update(told)
            tell(len(found), len(files))
        for path, digest in pool.map(lambda file: (file.path, _digest_of(root, file)), large):
            found[path] = digest
            tell(len(found), len(files))
    return found


def _digest_of(root: Path, file: Found) -> str:
    found = hashlib.sha256()
    with opened(root, file) as source:
        for piece in blocks(source, SMALL):
            found.update(piece)
    return found.hexdigest()


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
    """Return the bytes of a file, block by block; a block is overwritten by the next."""
    buffer = memoryview(bytearray(size))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]
