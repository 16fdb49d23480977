"""Read the files of a folder as they were found there, and tell their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.data import manifest
from mainspring.pipelines.data.manifest import Entry, Kind
from mainspring.pipelines.data.walk import Found, shown

SMALL = 1 << 20  #: bytes; a file below this is packed


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


def _descriptor(path: Path, file: Found) -> int:
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


def read_small(root: Path, file: Found) -> bytes:
    """Return the bytes of a small file.

    Raises:
        BadInputError: if it cannot be read, or has grown large meanwhile.
    """
    with opened(root, file) as source:
        data = source.read(SMALL + 1)
        while len(data) <= SMALL and (more := source.read(SMALL + 1)):
            data += more
    if len(data) > SMALL:
        raise BadInputError(
            f"{shown(file.path)} grows while it is read.", field="path", hint="Add it again."
        )
    return data


def digest_of(root: Path, file: Found) -> str:
    """Return the sha256 of a file that was found."""
    if file.size < SMALL:
        return hashlib.sha256(read_small(root, file)).hexdigest()
    found = hashlib.sha256()
    with opened(root, file) as source:
        for piece in blocks(source, SMALL):
            found.update(piece)
    return found.hexdigest()


def blocks(source: BinaryIO, size: int = SMALL) -> Iterator[memoryview]:
    """Return the bytes of a file, block by block; a block is overwritten by the next."""
    buffer = memoryview(bytearray(size))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]


def digest_of_files(kind: Kind, files: Sequence[Found], digests: Mapping[str, str]) -> str:
    """Return the digest that a version of these files would have."""
    return manifest.digest_of(
        kind, (Entry(f.path, f.size, digests[f.path], f.executable) for f in files)
    )
