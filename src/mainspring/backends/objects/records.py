"""Small records by name beside the objects of a folder or a bucket: written once, listed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mainspring.ground.errors import StoreError

_PREFIX = "records"


class Records(Protocol):
    """Records by a path such as ``data/flights/3fa9``; what is there is not written again.

    Whoever lists sees a record whole or not at all.
    """

    def put(self, path: str, data: bytes) -> None:
        """Keep a record; a power cut after this loses nothing."""
        ...

    def each(self, folder: str) -> Iterator[bytes]:
        """Return the records below a folder, in the order of their paths."""
        ...


def open_records(url: str) -> Records:
    """Open the records at a place that :func:`open_objects` takes.

    Raises:
        BadInputError: for a URL that is none.
        StoreError: if the folder cannot be used.
    """
    if url.startswith("s3://"):
        from mainspring.backends.objects.s3 import S3Records

        return S3Records(url)
    return LocalRecords(Path(url.removeprefix("file://")))


class LocalRecords:
    """Records in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve() / _PREFIX

    def put(self, path: str, data: bytes) -> None:
        """Keep a record: written aside, flushed, renamed, the folder flushed."""
        file = self._root / path
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=file.parent, prefix=".")
            try:
                with os.fdopen(number, "wb") as opened:
                    opened.write(data)
                    opened.flush()
                    os.fsync(number)
                Path(name).replace(file)
            finally:
                Path(name).unlink(missing_ok=True)
            for folder in (file.parent, *file.parent.parents):
                _flush(folder)
                if folder == self._root.parent:
                    break
        except OSError as error:
            raise StoreError(f"Could not write {file}: {error.strerror or error}.") from error

    def each(self, folder: str) -> Iterator[bytes]:
        """Return the records below a folder."""
        for file in sorted((self._root / folder).rglob("*")):
            if not file.name.startswith(".") and file.is_file():
                with suppress(FileNotFoundError):
                    yield file.read_bytes()


def _flush(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
