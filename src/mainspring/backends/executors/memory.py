"""How much memory a call and all that it began use, asked of the system while it runs.

A limit on addresses (RLIMIT_AS) would end steps that use little: libraries with threads reserve
gigabytes that they never touch. A control group (:mod:`groups`) needs rights that a process has
only where somebody gave them. Without, what is really held is looked at, many times a second:
private memory of every process below the call, and what they share once.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LOOK_S = 0.02  #: between looks; what grows faster overshoots by so much
_FIELDS = (b"RssAnon:", b"RssShmem:")


class Watch:
    """The memory of one call, in bytes. Where the system does not tell (not Linux) it is 0."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.peak = 0

    def over(self, pid: int) -> bool:
        """Look, and return whether more than the limit is used."""
        self.peak = max(self.peak, used(pid))
        return self.peak > self.limit


def used(pid: int) -> int:
    """Return the bytes that a process and all below it hold now; 0 if it is gone."""
    private = shared = 0
    waiting, seen = [pid], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        own, both = _held(one)
        private, shared = private + own, max(shared, both)
        waiting += _below(one)
    return private + shared


def _held(pid: int) -> tuple[int, int]:
    found = [0, 0]
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            for place, name in enumerate(_FIELDS):
                if line.startswith(name):
                    found[place] = int(line.split()[1]) * 1024
    return found[0], found[1]


def _below(pid: int) -> list[int]:
    """Return the children of every thread of a process."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_bytes().split())
    return found
