"""The file: a zip with a manifest, rows as JSON lines, objects packed together.

* ``manifest.json``, written last: what is in the archive, with the size and digest of each
  other entry. The zip's comment is the digest of the manifest.
* ``rows/TABLE.jsonl``: one JSON array a row, in the order of the manifest's columns.
* ``objects/NNNNNN.pack``: frames of 32 bytes of digest, 8 bytes of length, the bytes.
* ``evidence/audit.jsonl``: the audit log, as it can be verified by anybody.

Any zip program opens it. No name in it ever becomes the name of a file.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import msgspec

from mainspring.ground.errors import DamagedError

FORMAT = 1
MANIFEST = "manifest.json"
AUDIT = "evidence/audit.jsonl"
PACK_BYTES = 64 << 20  #: objects are packed up to here; a larger one has a pack of its own
LINE_BYTES = 256 << 20  #: the longest row that is read
CHUNK = 1 << 20
FRAME = struct.Struct(">32sQ")
NAMES = re.compile(r"rows/[a-z_]{1,60}\.jsonl|objects/[0-9]{6}\.pack|evidence/audit\.jsonl")


class EntryInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the zip, as it must be found."""

    size: int  #: bytes, unpacked
    sha256: str


class TableInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one table."""

    columns: list[str]
    rows: int


class ObjectsInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The objects in the packs."""

    count: int
    size: int
    missing: int = 0  #: named by rows, and not there when the archive was written


class AuditInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The audit log as evidence."""

    rows: int
    head: str  #: the hash of its last row


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds."""

    format: int
    mainspring: str  #: the version that wrote it
    schema: int
    written: float  #: UTC seconds
    experiments: list[str] | None  #: names; None is everything
    unfinished: int  #: tasks that were under way, which are not in it
    tables: dict[str, TableInfo]
    objects: ObjectsInfo
    audit: AuditInfo | None
    entries: dict[str, EntryInfo]


class Sealed:
    """Writes one entry and knows its size and digest at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write some bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def info(self) -> EntryInfo:
        """Return what the manifest says of it."""
        return EntryInfo(size=self.size, sha256=self._hash.hexdigest())


class Checked:
    """Reads one entry, no further than its size, and checks its digest at the end."""

    def __init__(self, file: IO[bytes], name: str, wanted: EntryInfo) -> None:
        self._file = file
        self._name = name
        self._wanted = wanted
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes; none at the end.

        Raises:
            DamagedError: if the entry is not what the manifest says.
        """
        with told(self._name):
            data = self._file.read(min(count, CHUNK))
        return self._took(data)

    def exactly(self, count: int) -> bytes:
        """Return ``count`` bytes, or none at the end.

        Raises:
            DamagedError: if it ends before.
        """
        parts, left = [], count
        while left and (part := self.read(left)):
            parts.append(part)
            left -= len(part)
        if left and left != count:
            raise damaged(f"{self._name} ends too early")
        return b"".join(parts)

    def lines(self) -> Iterator[bytes]:
        """Go through its lines."""
        while line := self._line():
            if not line.endswith(b"\n"):
                raise damaged(f"a line of {self._name} has no end")
            yield line
        self.finish()

    def _line(self) -> bytes:
        with told(self._name):
            data = self._file.readline(LINE_BYTES)
        return self._took(data)

    def finish(self) -> None:
        """Check size and digest, at the end.

        Raises:
            DamagedError: if they are not what the manifest says.
        """
        if self._size != self._wanted.size or self._hash.hexdigest() != self._wanted.sha256:
            raise damaged(f"{self._name} was changed")

    def _took(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._wanted.size:
            raise damaged(f"{self._name} is longer than the manifest says")
        self._hash.update(data)
        return data


@contextmanager
def told(name: str) -> Iterator[None]:
    """Say of which entry it was that the zip could not be read."""
    try:
        yield
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError),
        *(RuntimeError, OSError),  # bz2 raises the latter for bytes that are none of its own
    ) as error:
        raise damaged(f"{name} cannot be read ({error})") from error


def damaged(what: str) -> DamagedError:
    """Return the error for an archive that is not as it was written."""
    return DamagedError(
        f"The archive is damaged: {what}.", hint="Nothing was imported. Export or copy it again."
    )


def line(cells: list[Any]) -> bytes:
    """Return a row as a line."""
    return msgspec.json.encode(cells) + b"\n"
