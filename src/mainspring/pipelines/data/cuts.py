"""Cut a large file where its content says so, so that a small change costs a chunk or two.

A place is a cut if the eight bytes before it, multiplied by an odd constant, are small: one
place in half a million, wherever the bytes stand in the file. So what is put in or taken out
moves no cut but those beside it (Muthitacharoen, Chen and Mazieres, "A low-bandwidth network
file system", SOSP 2001, section 3.1; the least size that is not looked at as in Xia and
others, "FastCDC", USENIX ATC 2016, section 3.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

LEAST, MOST = 512 << 10, 4 << 20  #: bytes of a chunk; the last may have fewer
#: Of a product below this a cut is made: one place in 2**19, so chunks have 1 MiB on average.
_BELOW = np.uint64(1 << (64 - 19))
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, as for multiplicative hashing
_WINDOW = 8
_STRIDE = 64 << 10  # bytes looked at in one go: the arrays stay within the second-level cache


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a file between two cuts."""

    length: int
    sha256: str


Take = Callable[[int, Chunk, memoryview], None]
"""Takes a chunk, where it begins in the file, and its bytes, which are gone afterwards."""


class Cutter:
    """Cuts bytes that come block by block.

    ``known`` are the chunks of what the file was before: where they still begin at a cut and
    have their digest, the next cut is theirs, and is not looked for. The chunks come out as
    they would without.
    """

    def __init__(self, take: Take, known: Sequence[Chunk] = ()) -> None:
        self._take = take
        self._tail = b""  # what lies behind the last cut
        self._at = 0  # where that is in the file
        self._looked = 0  # how much of it was looked through
        self._known: dict[int, Chunk] = {}
        start = 0
        for chunk in known[:-1]:  # the last one ends where the file did, which is no cut
            self._known[start] = chunk
            start += chunk.length
        self._products = np.empty(_STRIDE // _WINDOW, np.uint64)

    @property
    def held(self) -> int:
        """Return how many bytes lie behind the last cut."""
        return len(self._tail)

    def feed(self, buffer: bytearray | memoryview, start: int, end: int) -> None:
        """Take a block of bytes, ``buffer[start:end]``.

        The ``held`` bytes before ``start`` are overwritten, so that a chunk lies in one piece.
        """
        view = memoryview(buffer)
        begin = start - len(self._tail)
        view[begin:start] = self._tail
        data = view[begin:end]
        place = 0
        while (length := self._length(data[place:])) is not None:
            self._give(data[place : place + length])
            place += length
        self._tail = bytes(data[place:])

    def end(self) -> None:
        """Give out what is left."""
        if self._tail:
            self._give(memoryview(self._tail))
            self._tail = b""

    def _length(self, data: memoryview) -> int | None:
        """Return how long the chunk is that begins here; None if that needs more bytes."""
        known = self._known.get(self._at)
        if known is not None:
            if len(data) < known.length:
                return None
            if hashlib.sha256(data[: known.length]).hexdigest() == known.sha256:
                return known.length
            del self._known[self._at]
        most = min(len(data), MOST)
        found = self._search(data, max(LEAST, self._looked), most)
        if found is not None:
            return found
        self._looked = most
        return MOST if most == MOST else None

    def _search(self, data: memoryview, least: int, most: int) -> int | None:
        """Return the first cut from ``least`` to ``most``."""
        for low in range(least, most + 1, _STRIDE):
            # The window of a cut at c is data[c-8:c], so all of it lies within the chunk.
            part = np.frombuffer(
                data[low - _WINDOW : min(low + _STRIDE - 1, most)], dtype=np.uint8
            )
            first = None
            for offset in range(min(_WINDOW, len(part) - _WINDOW + 1)):
                count = (len(part) - offset) // _WINDOW
                words = part[offset : offset + count * _WINDOW].view("<u8")
                products = np.multiply(words, _ODD, out=self._products[:count])
                if products.min() < _BELOW:
                    place = int(np.argmax(products < _BELOW)) * _WINDOW + offset
                    first = place if first is None else min(first, place)
            if first is not None:
                return low + first
        return None

    def _give(self, data: memoryview) -> None:
        known = self._known.get(self._at)
        if known is not None and known.length == len(data):
            chunk = known  # its digest was found right
        else:
            chunk = Chunk(len(data), hashlib.sha256(data).hexdigest())
        self._take(self._at, chunk, data)
        self._at += len(data)
        self._looked = 0


def cut_all(pieces: Iterable[bytes], take: Take) -> None:
    """Cut bytes that come piece by piece."""
    cutter = Cutter(take)
    buffer = bytearray()
    for piece in pieces:
        if len(buffer) < MOST + len(piece):
            buffer = bytearray(MOST + len(piece))
        buffer[MOST : MOST + len(piece)] = piece
        cutter.feed(buffer, MOST, MOST + len(piece))
    cutter.end()


def cut(data: bytes, known: Sequence[Chunk] = ()) -> list[Chunk]:
    """Return the chunks of some bytes.

    >>> [chunk.length for chunk in cut(bytes(5 << 20))]
    [524288, 524288, 524288, 524288, 524288, 524288, 524288, 524288, 524288, 524288]
    """
    found: list[Chunk] = []
    cutter = Cutter(lambda _at, chunk, _data: found.append(chunk), known)
    cutter.feed(bytearray(data), 0, len(data))
    cutter.end()
    return found
