"""Put a file together from runs of objects that are there, and of what is new in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from mainspring.ground.errors import StoreError
from mainspring.ground.ports import Objects
from mainspring.pipelines.data.cuts import Chunk
from mainspring.pipelines.data.manifest import Entry, Part

PACK = 64 << 20  #: bytes of a pack of what is new, about


class Taking:
    """Takes the runs of a file in their order: names those that are kept, packs the others.

    ``keep`` keeps a pack and returns its digest; ``find`` tells where a chunk is kept;
    ``note`` is told where one was put.
    """

    def __init__(
        self,
        keep: Callable[[bytes], str],
        find: Callable[[str], Part | None],
        note: Callable[[str, Part], None],
        places: Mapping[str, Part],
    ) -> None:
        self.chunks: list[Chunk] = []
        self._keep, self._find, self._note, self._places = keep, find, note, places
        self._parts: list[Part | int] = []  # a number: the so manieth of the pack under way
        self._pack = bytearray()
        self._held: list[tuple[str, int, int]] = []  # digest or none, start, length
        self._packed: dict[str, int] = {}

    def know(self, places: Mapping[str, Part]) -> None:
        """Take notice of where chunks are kept."""
        self._places = places

    def old(self, parts: Sequence[Part]) -> None:
        """Take bytes that are kept."""
        self._parts += parts

    def new(self, data: bytes | memoryview, digest: str = "") -> None:
        """Take bytes that are not."""
        if len(self._pack) + len(data) > PACK:
            self._flush()
        if digest:
            self._packed[digest] = len(self._held)
        self._parts.append(len(self._held))
        self._held.append((digest, len(self._pack), len(data)))
        self._pack += data

    def chunk(self, _at: int, chunk: Chunk, data: memoryview) -> None:
        """Take a chunk that a cutter cut."""
        self.chunks.append(chunk)
        part = self._places.get(chunk.sha256)
        if part is None and chunk.sha256 in self._packed:
            self._parts.append(self._packed[chunk.sha256])
            return
        part = part or self._find(chunk.sha256)
        if part is not None:
            self._parts.append(part)
        else:
            self.new(data, chunk.sha256)

    def end(self) -> list[Part]:
        """Return where the whole file is, in as few parts as can be."""
        self._flush()
        parts = [part for part in self._parts if isinstance(part, Part)]
        if len(parts) != len(self._parts):
            raise StoreError("A chunk was not kept.")
        return joined(parts)

    def _flush(self) -> None:
        """Keep the pack under way, and say of its chunks where they are."""
        if not self._held:
            return
        digest = self._keep(bytes(self._pack))
        places = [Part(digest, start, length) for _, start, length in self._held]
        for (chunk, _, _), place in zip(self._held, places, strict=True):
            if chunk:
                self._note(chunk, place)
        self._parts = [places[part] if isinstance(part, int) else part for part in self._parts]
        self._pack.clear()
        self._held.clear()
        self._packed.clear()


def joined(parts: Iterable[Part]) -> list[Part]:
    """Return the same places with those made one that lie behind each other."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if last and last.object == part.object and last.offset + last.length == part.offset:
            found[-1] = Part(last.object, last.offset, last.length + part.length)
        else:
            found.append(part)
    return found


class Laid:
    """The bytes of a file that is kept, by where they stand in it."""

    def __init__(self, entry: Entry, objects: Objects) -> None:
        self._parts, self._objects = entry.places, objects
        self._ends = list(accumulate(part.length for part in self._parts))

    def parts(self, start: int, length: int) -> list[Part]:
        """Return where a run of the file lies, as far as the file goes."""
        found = []
        for number in range(bisect_right(self._ends, start), len(self._parts)):
            part = self._parts[number]
            skipped = start - (self._ends[number] - part.length)
            count = min(part.length - skipped, length)
            if count <= 0:
                break
            found.append(Part(part.object, part.offset + skipped, count))
            start, length = start + count, length - count
        return found

    def bytes(self, start: int, length: int) -> bytes:
        """Return a run of the file, as far as the file goes; nobody verified it."""
        return b"".join(
            [
                self._objects.part(part.object, part.offset, part.length)
                for part in self.parts(start, length)
            ]
        )
