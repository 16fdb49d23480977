"""Keep large files: whole, or only what is new in them.

* A file of ``LARGE`` bytes or more that resembles nothing is kept whole, as one object of its
  own digest. One that resembles what is kept is compared with that (:mod:`alike`), and only
  what is new in it is kept, packed; the rest is named where it lies.
* Where objects lie on another machine, comparing would bring them here: there every large file
  is cut into chunks (:mod:`cuts`), and what is kept is known by their digests.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from mainspring.ground.identity import canonical
from mainspring.ground.killpoints import here
from mainspring.pipelines.data.alike import PIECE, Alike
from mainspring.pipelines.data.cuts import MOST, Chunk, Cutter, cut_all
from mainspring.pipelines.data.keeping import Keeping
from mainspring.pipelines.data.manifest import Entry, Part
from mainspring.pipelines.data.reading import SMALL, Hashing, blocks, opened
from mainspring.pipelines.data.taking import Laid, Taking
from mainspring.pipelines.data.walk import Found

LARGE = 4 << 20  #: bytes; from here on a file is compared, or cut into chunks
_BLOCK = 8 << 20  # bytes read at once of a large file
_RING = 3  # blocks under way: one read, one cut, one written
_PROBE = 3  # chunks of a file looked up to tell whether it is like one that is kept


class Large:
    """Keeps files that are not packed."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping, self._objects = keeping, keeping.objects
        self._near = hasattr(keeping.objects, "path_of")  # what is kept lies on this machine

    def one(
        self, root: Path, file: Found, base: Entry | None, tell: Callable[[int], None]
    ) -> Entry:
        """Keep one file that is not small, and say where; ``base`` is what it was before.

        Raises:
            BadInputError: if it cannot be read.
            StoreError: if a disk fails.
        """
        with opened(root, file) as source:
            if file.size < LARGE:
                kept = self._whole_file(source, None, tell)
            elif self._near:
                kept = self._beside(source, file, base, tell)
            elif (listed := self._chunks(base)) or self._begins_as_known(source):
                kept = self._changed(source, base, listed, tell)
            else:
                kept = self._whole_file(source, [], tell)
        here("data.stored")
        return msgspec.structs.replace(kept, path=file.path, executable=file.executable)

    def _beside(
        self, source: BinaryIO, file: Found, base: Entry | None, tell: Callable[[int], None]
    ) -> Entry:
        """Keep a file where what is kept can be read as fast as the file itself.

        So it is compared with what it resembles, and not cut if it resembles nothing.
        """
        if base is not None and base.size >= LARGE and self._keeping.whole(base):
            return self._compared(source, base, tell)
        data = os.pread(source.fileno(), _PROBE * MOST, 0)
        first = _first(data)
        part = self._known_of(first)
        if part is not None and part.offset == 0:
            base = Entry(file.path, self._objects.size(part.object), part.object)
            return self._compared(source, base, tell)
        if part is not None:
            return self._changed(source, None, [], tell)
        kept = self._whole_file(source, None, tell)
        if self._objects.part(kept.sha256, 0, len(data)) == data:  # not changed in between
            start = 0
            for chunk in first:
                self._keeping.note(chunk.sha256, Part(kept.sha256, start, chunk.length))
                start += chunk.length
        return kept

    def _chunks(self, base: Entry | None) -> list[Chunk]:
        if base is None or base.chunks is None or not self._keeping.whole(base):
            return []
        data = self._objects.get(base.chunks)
        return msgspec.json.decode(data, type=list[Chunk])

    def _begins_as_known(self, source: BinaryIO) -> bool:
        first = _first(os.pread(source.fileno(), _PROBE * MOST, 0))
        return self._known_of(first) is not None

    def _known_of(self, chunks: Sequence[Chunk]) -> Part | None:
        """Return where one of some chunks is kept: the file was renamed, or has grown."""
        found = self._keeping.find(chunk.sha256 for chunk in chunks)
        return next((found[one.sha256] for one in chunks if one.sha256 in found), None)

    def _whole_file(
        self, source: BinaryIO, chunks: list[Chunk] | None, tell: Callable[[int], None]
    ) -> Entry:
        """Keep a file as one object; where ``chunks`` are wanted, note where each is."""
        size = 0

        def counted(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
            nonlocal size
            for piece in pieces:
                yield piece
                size += len(piece)
                tell(size)

        if chunks is None:
            digest = self._objects.put_file(counted(blocks(source, _BLOCK)))
        else:
            cutter = Cutter(lambda _at, chunk, _data: chunks.append(chunk))
            digest = self._objects.put_file(counted(_cut_beside(source, cutter)))
        self._keeping.was_put(digest, size)
        if not chunks:
            return Entry("", size, digest)
        start = 0
        for chunk in chunks:
            self._keeping.note(chunk.sha256, Part(digest, start, chunk.length))
            start += chunk.length
        return Entry("", size, digest, chunks=self._listed(chunks))

    def _compared(self, source: BinaryIO, base: Entry, tell: Callable[[int], None]) -> Entry:
        """Keep of a file what is not in another that is kept."""
        laid, taking = Laid(base, self._objects), self._taking({})
        with Hashing() as hashing:

            def read(count: int) -> bytes:
                piece = source.read(count)
                hashing.update(piece)
                tell(hashing.size)
                return piece

            both = Alike(read, laid.bytes, base.size)
            for run in both.runs():
                if run.base is None:
                    taking.new(run.data)
                else:
                    taking.old(laid.parts(run.base, run.length))
            if both.rest:
                self._rest(both, read, base.size, laid, taking)
            digest, size = hashing.hexdigest(), hashing.size
        return Entry("", size, digest, parts=_parts(taking.end(), digest, size))

    def _rest(
        self, both: Alike, read: Callable[[int], bytes], end: int, laid: Laid, taking: Taking
    ) -> None:
        """Keep what could not be matched byte by byte: cut it, and the old file, by content."""
        known: dict[str, Part] = {}

        def told(at: int, chunk: Chunk, _data: memoryview) -> None:
            parts = laid.parts(both.behind + at, chunk.length)
            if len(parts) == 1:
                known[chunk.sha256] = parts[0]

        starts = range(both.behind, end, PIECE)
        cut_all((laid.bytes(at, min(PIECE, end - at)) for at in starts), told)
        taking.know(known)
        cut_all(chain([both.rest], iter(lambda: read(PIECE), b"")), taking.chunk)

    def _changed(
        self,
        source: BinaryIO,
        base: Entry | None,
        listed: Sequence[Chunk],
        tell: Callable[[int], None],
    ) -> Entry:
        """Keep of a file the chunks that are new in it."""
        taking = self._taking(_places(base, listed) if base else {})
        cutter = Cutter(taking.chunk, listed)
        whole = hashlib.sha256()
        size = 0
        for piece in _cut_beside(source, cutter):
            whole.update(piece)
            size += len(piece)
            tell(size)
        parts = _parts(taking.end(), whole.hexdigest(), size)
        return Entry("", size, whole.hexdigest(), parts=parts, chunks=self._listed(taking.chunks))

    def _taking(self, places: Mapping[str, Part]) -> Taking:
        return Taking(
            self._keeping.put_pack,
            lambda digest: self._keeping.find([digest]).get(digest),
            self._keeping.note,
            places,
        )

    def _listed(self, chunks: Sequence[Chunk]) -> str:
        return self._keeping.put(canonical(chunks))


def _first(data: bytes) -> list[Chunk]:
    """Return the chunks that a file begins with, which begins with some bytes."""
    found: list[Chunk] = []
    cut_all([data], lambda _at, chunk, _data: found.append(chunk))
    return found[:_PROBE]  # one more ends where the reading did, unless all was read


def _parts(parts: list[Part], digest: str, size: int) -> tuple[Part, ...]:
    """Return where a file is kept; nothing if that is the object of its own digest."""
    return () if parts == [Part(digest, 0, size)] else tuple(parts)


def _places(base: Entry, listed: Sequence[Chunk]) -> dict[str, Part]:
    """Return where each chunk of a file that is kept lies."""
    found: dict[str, Part] = {}
    places = iter(base.places)
    part = next(places, None)
    used = 0  # bytes of the part that earlier chunks took
    for chunk in listed:
        if part is not None and used == part.length:
            part, used = next(places, None), 0
        if part is None or used + chunk.length > part.length:
            return found  # not as it should be: what is not found here is found by its digest
        found[chunk.sha256] = Part(part.object, part.offset + used, chunk.length)
        used += chunk.length
    return found


def _cut_beside(source: BinaryIO, cutter: Cutter) -> Iterator[memoryview]:
    """Read a file block by block, and have each cut by another thread meanwhile."""
    ring = [bytearray(MOST + _BLOCK) for _ in range(_RING)]
    under_way: list[Future[None] | None] = [None] * _RING
    with ThreadPoolExecutor(1, thread_name_prefix="cut") as pool:
        turn = 0
        while True:
            waits = under_way[turn]
            if waits is not None:
                waits.result()
            view = memoryview(ring[turn])
            end = MOST
            while end < len(view) and (count := source.readinto(view[end:])):  # type: ignore[attr-defined]
                end += count
            if end == MOST:
                break
            under_way[turn] = pool.submit(cutter.feed, ring[turn], MOST, end)
            for start in range(
                MOST, end, SMALL
            ):  # what was hashed is still in the cache, to write
                yield view[start : min(start + SMALL, end)]
            turn = (turn + 1) % _RING
        for future in under_way:
            if future is not None:
                future.result()
        pool.submit(cutter.end).result()
