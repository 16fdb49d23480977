"""Tell which runs of a file stand in another already, by comparing the two.

Most large files that change are changed in a few places. So both are read side by side, block
by block, as fast as memory is compared. Where they part, a few short pieces of the old file
are looked for in the new one near by; where one is found, and what follows it is the same, the
two are side by side again. That finds what was overwritten, put in, taken out or put behind
the end. Where nothing is found the rest is left to whoever cuts by content (:mod:`cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

PIECE = 8 << 20  #: bytes read at once, and how far behind a difference is looked
_SURE = 64 << 10  # bytes that must be the same behind a piece that was found
_NEEDLE = 256
_BEHIND = (0, 4 << 10, 64 << 10, 512 << 10, 2 << 20, 4 << 20)  # where pieces are taken from
_TRIES = 4  # a piece may stand there more often

Read = Callable[[int], bytes]
"""Gives up to so many bytes that come next; none at the end."""
At = Callable[[int, int], bytes]
"""Gives the bytes from a place on, so many or as many as there are."""


class Run(NamedTuple):
    """Some bytes of the new file."""

    length: int
    base: int | None  #: where they stand in the old one
    data: bytes = b""  #: the bytes, where they are new


class Alike:
    """A new file beside an old one."""

    def __init__(self, read: Read, base: At, base_size: int) -> None:
        self.behind = 0  #: how far the old one was come
        self._read, self._base, self._base_size = read, base, base_size
        self._data = b""  # what was read and not told yet
        self._ended = False

    @property
    def rest(self) -> bytes:
        """Return what was read and is in no run: empty unless the two could not be matched."""
        return self._data

    def runs(self) -> Iterator[Run]:
        """Go through the new file; end early where nothing of the old one is found."""
        while self._fill(1):
            new = self._data
            if self.behind >= self._base_size:
                self._data = b""
                yield Run(len(new), None, new)
                continue
            old = self._base(self.behind, len(new))
            same = len(new) if new == old else _common(new, old)
            if same >= _SURE or same in (len(new), len(old)):
                yield Run(same, self.behind)
                self.behind += same
                self._data = new[same:]
                if same == len(new):
                    continue
            if self.behind < self._base_size and self._data:
                found = self._found()
                if found is None:
                    return
                at, behind = found
                if at:
                    yield Run(at, None, self._data[:at])
                self._data = self._data[at:]
                self.behind += behind

    def _fill(self, least: int) -> int:
        """Read on until so many bytes are there, or all; return how many are."""
        while len(self._data) < least and not self._ended:
            more = self._read(PIECE)
            self._ended = not more
            self._data += more
        return len(self._data)

    def _found(self) -> tuple[int, int] | None:
        """Return how far behind the difference the new and the old file are the same again."""
        self._fill(PIECE)
        new, old = self._data, self._base(self.behind, PIECE)
        for behind in _BEHIND:
            needle = old[behind : behind + _NEEDLE]
            wanted = old[behind : behind + _SURE]
            if not needle:
                return None
            at = behind
            for _ in range(_TRIES + 1):  # first where nothing was moved
                if new[at : at + len(wanted)] == wanted:
                    back = _common_before(new[:at], old[:behind])
                    return at - back, behind - back
                at = new.find(needle, 0 if at == behind else at + 1)
                if at < 0:
                    break
        return None


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes two begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_before(one: bytes, other: bytes) -> int:
    """Return how many bytes two end with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if _last(one, middle, low) == _last(other, middle, low):
            low = middle
        else:
            high = middle - 1
    return low


def _last(data: bytes, begin: int, end: int) -> bytes:
    return data[len(data) - begin : len(data) - end]
