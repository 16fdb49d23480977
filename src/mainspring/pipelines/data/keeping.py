"""What is kept of files and pieces already, and keeping what is not: many in one object.

What is known is only named, once it is sure that its object is there. Nothing is flushed but by
``Objects``: when these return, a power cut loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from mainspring.ground.killpoints import here
from mainspring.ground.ports import Objects
from mainspring.pipelines.data.manifest import Entry, Part

_NOTED = 50_000  # hints that are held before they are written


class Known(Protocol):
    """Where what is known is kept; see :mod:`known`."""

    def find(self, digests: Iterable[str]) -> dict[str, Part]:
        """Return where those of some files or chunks are kept that are known."""
        ...

    def keep(self, notes: Mapping[str, Part], gone: Iterable[str]) -> None:
        """Note where some are, and which objects are not there."""
        ...


class Keeping:
    """One act of keeping bytes, until :meth:`end`."""

    def __init__(self, objects: Objects, known: Known) -> None:
        self.objects = objects
        self.stored = 0  #: bytes that were new
        self._known = known
        self._notes: dict[str, Part] = {}  # what was learnt of where things are
        self._gone: set[str] = set()  # objects that were named somewhere and are not there
        self._there: set[str] = set()

    def end(self) -> None:
        """Write down what was learnt of where things are."""
        self._known.keep(self._notes, self._gone)
        self._notes = {}
        self._gone = set()

    def note(self, digest: str, part: Part) -> None:
        """Learn where a file or a chunk is kept."""
        self._notes[digest] = part

    def is_there(self, digest: str) -> bool:
        """Return whether an object is there, and let it stay for as long as a new one."""
        if digest in self._there:
            return True
        if digest in self._gone or not self.objects.renew(digest):
            self._gone.add(digest)
            return False
        self._there.add(digest)
        return True

    def whole(self, entry: Entry) -> bool:
        """Return whether all that a file is kept in is there, and let it stay."""
        there = self._there
        for part in entry.parts or entry.places:
            if part.object not in there and not self.is_there(part.object):
                return False
        return entry.chunks is None or self.is_there(entry.chunks)

    def find(self, digests: Iterable[str]) -> dict[str, Part]:
        """Return where files or chunks are kept, of those that are there."""
        wanted = set(digests)
        found = {one: self._notes[one] for one in wanted if one in self._notes}
        found |= self._known.find(wanted - found.keys())
        return {one: part for one, part in found.items() if self.is_there(part.object)}

    def keep(self, held: Mapping[str, bytes | memoryview]) -> dict[str, Part]:
        """Keep what is new of some bytes, by digest, in one object; return where all are."""
        found = self.find(held)
        new = [digest for digest in held if digest not in found]
        if new:
            pack = self.put_pack(b"".join([held[digest] for digest in new]))
            start = 0
            for digest in new:
                length = len(held[digest])
                self._notes[digest] = found[digest] = Part(pack, start, length)
                start += length
            here("data.packed")
        if len(self._notes) >= _NOTED:  # they are only hints: none of them waits for a version
            self._known.keep(self._notes, ())
            self._notes = {}
        return found

    def put_pack(self, pack: bytes) -> str:
        """Keep an object of several pieces, all new."""
        here("data.pack")
        return self.put(pack, new=True)

    def put(self, data: bytes, *, new: bool = False) -> str:
        """Keep an object; ``new`` if its bytes are of a file."""
        digest = self.objects.put(data)
        self.was_put(digest, len(data) if new else 0)
        return digest

    def was_put(self, digest: str, size: int) -> None:
        """Know that an object was kept, and how much was new."""
        self.stored += size
        self._there.add(digest)
        self._gone.discard(digest)
