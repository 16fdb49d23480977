"""Keep files as objects: small ones packed together, large ones whole, or only what is new.

* Files below ``SMALL`` go into packs, one object for thousands of them: one flush of the disk
  instead of thousands.
* A file of ``LARGE`` bytes or more that resembles nothing is kept whole, as one object of its
  own digest. One that resembles what is kept is compared with that (:mod:`alike`), and only
  what is new in it is kept, packed; the rest is named where it lies.
* Where objects lie on another machine, comparing would bring them here: there every large file
  is cut into chunks (:mod:`cuts`), and what is kept is known by their digests.
* What is known already is only named, once it is sure that its object is there.

Nothing is flushed but by ``Objects``: when these return, a power cut loses nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from mainspring.ground.identity import canonical
from mainspring.ground.killpoints import here
from mainspring.ground.ports import Objects
from mainspring.pipelines.data import reading
from mainspring.pipelines.data.alike import PIECE, Alike
from mainspring.pipelines.data.cuts import MOST, Chunk, Cutter, cut_all
from mainspring.pipelines.data.manifest import Entry, Part
from mainspring.pipelines.data.reading import (
    AT_ONCE,
    SMALL,
    TOGETHER,
    Hashing,
    blocks,
    opened,
    read_small,
)
from mainspring.pipelines.data.taking import Laid, Taking
from mainspring.pipelines.data.walk import Found

LARGE = 4 << 20  #: bytes; from here on a file is cut into chunks
PACK = 16 << 20  #: bytes of a pack of small files, about
_BATCH = 5_000  # small files that are looked up together
_BLOCK = 8 << 20  # bytes read at once of a large file
_RING = 3  # blocks under way: one read, one cut, one written
_PROBE = 3  # chunks of a file looked up to tell whether it is like one that is kept


class Known(Protocol):
    """Where what is known is kept; see :mod:`known`."""

    def find(self, digests: Iterable[str]) -> dict[str, Part]:
        """Return where those of some files or chunks are kept that are known."""
        ...


class Storing:
    """One act of keeping files; :attr:`notes` are what it learnt of where things are."""

    def __init__(self, objects: Objects, known: Known) -> None:
        self.notes: dict[str, Part] = {}
        self.gone: set[str] = set()  #: objects that were named somewhere and are not there
        self.stored = 0  #: bytes that were new
        self._objects, self._known = objects, known
        self._near = hasattr(objects, "path_of")  # what is kept lies on this machine
        self._there: set[str] = set()

    def entries(
        self,
        root: Path,
        files: Sequence[Found],
        digests: Mapping[str, str],
        before: Mapping[str, Entry],
        tell: Callable[[int, int], None] = lambda _at, _of: None,
    ) -> list[Entry]:
        """Return an entry for each file, its bytes kept.

        ``digests`` are those of files that need not be read, ``before`` the entries of the
        version before. ``tell`` is told how many bytes are looked after, of how many.

        Raises:
            BadInputError: if a file cannot be read.
            StoreError: if a disk fails.
        """
        done: dict[str, Entry] = {}
        unplaced: list[Found] = []
        todo: list[Found] = []
        for file in files:
            digest = digests.get(file.path)
            if digest is None:
                todo.append(file)
            elif (same := self._same(file, digest, before)) is not None:
                done[file.path] = same
            else:
                unplaced.append(file)
        todo += self._placed(unplaced, digests, done)
        todo.sort(key=lambda file: file.path)
        total = sum(file.size for file in files)
        at = total - sum(file.size for file in todo)
        small = [file for file in todo if file.size < SMALL]
        for batch, read in read_ahead(root, small):
            self._pack(batch, read, before, done)
            at += sum(file.size for file in batch)
            tell(at, total)
        for file in (file for file in todo if file.size >= SMALL):
            so_far = partial(_further, tell, at, total)
            done[file.path] = self._one(root, file, before.get(file.path), so_far)
            at += file.size
        return [done[file.path] for file in files]

    # ------------------------------------------------------------ what is there already

    def is_there(self, digest: str) -> bool:
        """Return whether an object is there, and let it stay for as long as a new one."""
        if digest in self._there:
            return True
        if digest in self.gone or not self._objects.renew(digest):
            self.gone.add(digest)
            return False
        self._there.add(digest)
        return True

    def _same(self, file: Found, digest: str, before: Mapping[str, Entry]) -> Entry | None:
        """Return the entry of the version before, if it holds what the file holds."""
        entry = before.get(file.path)
        if entry is None or entry.sha256 != digest or not self.whole(entry):
            return None
        if entry.executable == file.executable:
            return entry
        return msgspec.structs.replace(entry, executable=file.executable)

    def whole(self, entry: Entry) -> bool:
        """Return whether all that a file is kept in is there, and let it stay."""
        listed = entry.chunks is None or self.is_there(entry.chunks)
        return listed and all(self.is_there(part.object) for part in entry.places)

    def find(self, digests: Iterable[str]) -> dict[str, Part]:
        """Return where files or chunks are kept, of those that are there."""
        wanted = set(digests)
        found = {one: self.notes[one] for one in wanted if one in self.notes}
        found |= self._known.find(wanted - found.keys())
        return {one: part for one, part in found.items() if self.is_there(part.object)}

    def _placed(
        self, files: Sequence[Found], digests: Mapping[str, str], done: dict[str, Entry]
    ) -> list[Found]:
        """Make entries of files that are known by digest alone; return the others."""
        if not files:
            return []
        found = self.find(digests[file.path] for file in files)
        rest = []
        for file in files:
            digest = digests[file.path]
            if not file.size or digest in found:
                done[file.path] = _entry(file, file.size, digest, found.get(digest))
            else:
                rest.append(file)
        return rest

    # ------------------------------------------------------------ small files

    def _pack(
        self,
        files: Sequence[Found],
        read: Sequence[tuple[bytes, str]],
        before: Mapping[str, Entry],
        done: dict[str, Entry],
    ) -> None:
        """Keep small files, as they were read, that are new in one object."""
        held: dict[str, bytes] = {}  # digest -> bytes, each once
        for file, (data, digest) in zip(files, read, strict=True):
            if (same := self._same(file, digest, before)) is not None:
                done[file.path] = same
            elif data:
                held[digest] = data
        found = self.keep(held)
        for file, (data, digest) in zip(files, read, strict=True):
            if file.path not in done:
                done[file.path] = _entry(file, len(data), digest, found.get(digest))

    def keep(self, held: Mapping[str, bytes | memoryview]) -> dict[str, Part]:
        """Keep what is new of some bytes, by digest, in one object; return where all are."""
        found = self.find(held)
        new = [digest for digest in held if digest not in found]
        if new:
            pack = b"".join([held[digest] for digest in new])
            here("data.pack")
            digest_of_pack = self._objects.put(pack)
            self.stored += len(pack)
            self._there.add(digest_of_pack)
            start = 0
            for digest in new:
                length = len(held[digest])
                self.notes[digest] = found[digest] = Part(digest_of_pack, start, length)
                start += length
            here("data.packed")
        return found

    # ------------------------------------------------------------ large files

    def _one(
        self, root: Path, file: Found, base: Entry | None, tell: Callable[[int], None]
    ) -> Entry:
        """Keep one file that is not small."""
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
        if base is not None and base.size >= LARGE and self.whole(base):
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
                self.notes[chunk.sha256] = Part(kept.sha256, start, chunk.length)
                start += chunk.length
        return kept

    def _chunks(self, base: Entry | None) -> list[Chunk]:
        if base is None or base.chunks is None or not self.whole(base):
            return []
        data = self._objects.get(base.chunks)
        return msgspec.json.decode(data, type=list[Chunk])

    def _begins_as_known(self, source: BinaryIO) -> bool:
        first = _first(os.pread(source.fileno(), _PROBE * MOST, 0))
        return self._known_of(first) is not None

    def _known_of(self, chunks: Sequence[Chunk]) -> Part | None:
        """Return where one of some chunks is kept: the file was renamed, or has grown."""
        found = self.find(chunk.sha256 for chunk in chunks)
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
            digest = self._objects.put_file(counted(blocks(source)))
        else:
            cutter = Cutter(lambda _at, chunk, _data: chunks.append(chunk))
            digest = self._objects.put_file(counted(_cut_beside(source, cutter)))
        self.stored += size
        self._there.add(digest)
        if not chunks:
            return Entry("", size, digest)
        start = 0
        for chunk in chunks:
            self.notes[chunk.sha256] = Part(digest, start, chunk.length)
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
            self._keep_pack,
            lambda digest: self.find([digest]).get(digest),
            self.notes.__setitem__,
            places,
        )

    def _listed(self, chunks: Sequence[Chunk]) -> str:
        digest = self._objects.put(canonical(chunks))
        self._there.add(digest)
        return digest

    def _keep_pack(self, pack: bytes) -> str:
        here("data.pack")
        digest = self._objects.put(pack)
        self.stored += len(pack)
        self._there.add(digest)
        return digest


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


def _further(tell: Callable[[int, int], None], at: int, total: int, more: int) -> None:
    tell(at + more, total)


def _entry(file: Found, size: int, digest: str, part: Part | None) -> Entry:
    whole = part is None or part == Part(digest, 0, size)
    parts = () if part is None or whole else (part,)
    return Entry(file.path, size, digest, file.executable, parts)


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


def read_ahead(
    root: Path, files: Sequence[Found]
) -> Iterator[tuple[list[Found], list[tuple[bytes, str]]]]:
    """Read small files batch by batch, the next while one is kept: bytes and digests."""
    where = reading.at(root)

    def some(files: Sequence[Found]) -> list[tuple[bytes, str]]:
        read = (read_small(where, file) for file in files)
        return [(data, hashlib.sha256(data).hexdigest()) for data in read]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read") as pool:
        waiting: deque[tuple[list[Found], list[Future[list[tuple[bytes, str]]]]]] = deque()
        try:
            for batch in _batches(files):
                cuts = range(0, len(batch), TOGETHER)
                asked = [pool.submit(some, batch[at : at + TOGETHER]) for at in cuts]
                waiting.append((batch, asked))
                if len(waiting) > 1:
                    yield _taken(*waiting.popleft())
            while waiting:
                yield _taken(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(
    batch: list[Found], asked: list[Future[list[tuple[bytes, str]]]]
) -> tuple[list[Found], list[tuple[bytes, str]]]:
    return batch, [one for future in asked for one in future.result()]


def _batches(files: Sequence[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if size >= PACK or len(batch) >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
