"""Say which endpoints need a look now, so that a thousand that rest cost next to nothing.

A look at an endpoint asks the store a dozen questions. It is worth them only when something of
it has moved: its captures, its labels, how it is declared, work of its that ended. What moves is
noticed at once where rows came lately; an endpoint that was quiet for long is felt less often, at
most :data:`SLOWEST_S` apart. Whatever else could have happened (the clock, another program) is
found by a look every few minutes, a few endpoints at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from mainspring.scaling.serving.tallies import FOLDER as TALLIES

#: A folder that was quiet is felt again after a twentieth of that time, and at most this long.
SLOWEST_S = 4.0
_SHARE = 1 / 20
#: An endpoint of which nothing moved is looked at this often all the same.
COLD_S = 240.0
#: Cold looks of one pass, so that many at once keep nobody else waiting.
COLD_AT_ONCE = 8


@dataclass
class _Known:
    """What was seen of an endpoint at the last look."""

    folder: str
    key: Hashable = None
    files: Hashable = None
    moved: float = 0.0  # when something of it was last seen to move, by the monotonic clock
    feel: float = 0.0  # when its folder is felt next
    looked: float = float("-inf")
    at: float = float("-inf")  # the same, by the workspace's clock, which can be turned
    pending: set[str] = field(default_factory=set)  # work it was said to need, not known ended


class Attention:
    """Remembers what was seen of each endpoint, and says which have moved since."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._known: dict[str, _Known] = {}

    @property
    def pending(self) -> set[str]:
        """Return the work that endpoints were said to need and that is not known to have ended."""
        return {one for known in self._known.values() for one in known.pending}

    def due(
        self,
        keys: Mapping[str, Hashable],
        ended: Collection[str],
        at: float,
        close: Collection[str] = (),
    ) -> Iterable[str]:
        """Return the endpoints to look at now, those that moved first.

        ``keys`` are all endpoints, each with what the store says of it in brief; ``ended`` is
        pending work that is over, or was never begun; ``at`` is the time by the workspace's clock.
        Those in ``close`` are felt every time, with what their processes count.
        """
        now = time.monotonic()
        for gone in self._known.keys() - keys.keys():
            del self._known[gone]
        moved, cold = [], []
        for name, key in keys.items():
            known = self._known.get(name)
            if known is None:
                known = self._known[name] = _Known(str(self._folder(name)))
            touched = known.key != key or (ended and not known.pending.isdisjoint(ended))
            if touched or (
                (name in close or now >= known.feel) and _felt(known, now, name in close)
            ):
                known.key, known.moved = key, now
                moved.append(name)
            elif _cold(name, known, now, at):
                cold.append(name)
        return moved + sorted(cold, key=lambda name: self._known[name].looked)[:COLD_AT_ONCE]

    def looked(self, name: str, needs: Iterable[str], at: float) -> None:
        """Note that an endpoint was looked at, and which work it needs."""
        known = self._known[name]
        known.pending, known.looked, known.at = set(needs), time.monotonic(), at


def _felt(known: _Known, now: float, close: bool) -> bool:
    """Return whether the files of an endpoint have moved since they were felt last."""
    files = _files(known.folder)
    if close:
        files = files, _files(f"{known.folder}/{TALLIES}")
    if files != known.files:
        known.files, known.moved, known.feel = files, now, now
        return True
    known.feel = now + min((now - known.moved) * _SHARE, SLOWEST_S)
    return False


def _cold(name: str, known: _Known, now: float, at: float) -> bool:
    # Each has a rhythm of its own, or all would come due in the same moment.
    rhythm = COLD_S * (0.75 + crc32(name.encode()) % 512 / 1024)
    return now - known.looked >= rhythm or abs(at - known.at) >= rhythm


def _files(folder: str) -> Hashable:
    """Return what tells whether anything in a folder was written, made or removed."""
    try:
        with os.scandir(folder) as entries:
            found = []
            for entry in entries:
                try:
                    told = entry.stat()
                except FileNotFoundError:
                    continue  # sealed or folded meanwhile: its new name is seen at the next look
                found.append((entry.name, told.st_size, told.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return tuple(sorted(found))
