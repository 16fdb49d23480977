"""How values of one type are kept: the shape of every codec, and two ways to write one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mainspring.ground.ports import Objects


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was kept."""

    digest: str
    type: str  #: the codec's name; with ``@`` and a mark if only one home can read it
    blobs: list[str] = []  #: every object it needs, its own digest included


class Form(Protocol):
    """How values of one type are kept."""

    name: str

    def takes(self, value: Any) -> bool:
        """Return whether the value is of this type; cheap, and imports nothing heavy."""
        ...

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the value; equal values give equal digests.

        Raises:
            NotExactError: if it could not be given back as it is.
        """
        ...

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:
        """Return the value. Files may be put into ``folder``."""
        ...


class Codec:
    """A type of values and how they are kept: to objects under one digest, and back.

    ``blobs`` lists every object behind a digest, where there are more than the one; a result
    is reused only while all of them are there.
    """

    def __init__(
        self,
        name: str,
        kind: type,
        write: Callable[[Any, Objects], str],
        read: Callable[[str, Objects], Any],
        blobs: Callable[[str, Objects], list[str]] | None = None,
    ) -> None:
        self.name, self._kind = name, kind
        self._write, self._read, self._blobs = write, read, blobs

    def takes(self, value: Any) -> bool:
        """Return whether the value is of the type."""
        return isinstance(value, self._kind)

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the value."""
        digest = self._write(value, objects)
        more = self._blobs(digest, objects) if self._blobs else []
        return Stored(digest=digest, type=self.name, blobs=list(dict.fromkeys([digest, *more])))

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002  Form's
        """Return the value."""
        return self._read(digest, objects)


class Bytes:
    """A codec that is two functions: to bytes and back."""

    def __init__(
        self,
        name: str,
        takes: Callable[[Any], bool],
        write: Callable[[Any], bytes],
        read: Callable[[bytes], Any],
    ) -> None:
        self.name, self.takes, self._write, self._read = name, takes, write, read

    def encode(self, value: Any, objects: Objects) -> Stored:
        """Keep the value as one object."""
        digest = objects.put(self._write(value))
        return Stored(digest=digest, type=self.name, blobs=[digest])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002  Form's
        """Return the value."""
        return self._read(objects.get(digest))


def library(value: Any) -> str:
    """Return the top name of the package that the type of a value is from; imports nothing."""
    return type(value).__module__.partition(".")[0]
