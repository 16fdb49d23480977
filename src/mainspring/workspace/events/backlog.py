"""Find what happened since a trigger last looked, however much that is, and lose nothing of it.

The newest page is compared with what was noted. Where nothing on it is known, there is more
behind it: pages are read back until one holds something known, a bounded number in each look.
What was found is noted from the oldest on, so that what is not noted yet is always the newest,
and an engine that dies on the way is followed by one that finds the rest in the same way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mainspring.engine import triggers
from mainspring.engine.triggers import Happened, Standing
from mainspring.ground.ports import Tx
from mainspring.workspace.events import sources
from mainspring.workspace.events.sources import PAGE, Stream

PAGES = 20  #: that are read in one look
AT_ONCE = 100  #: events that are noted together


class Backlog:
    """What one stream of one trigger still has to tell; remembered from look to look."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._since = -1.0
        self._found: list[list[Happened]] = []  # pages, the newest first, each the oldest first
        self._before: Any = None
        self._back = False  # there are pages behind that are not read yet

    def fresh(self, tx: Tx, one: Standing) -> list[Happened]:
        """Return the oldest happenings that are not noted, at most ``AT_ONCE``.

        None are returned while pages behind are still being read.
        """
        if one.since != self._since:  # it was declared anew, or woken
            self._since, self._found, self._back, self._before = one.since, [], False, None
        begins = not self._found and not self._back
        for number in range(PAGES):
            if self._back or (begins and number == 0):
                self._read(tx, one)
        return [] if self._back else self._oldest(tx, one)

    def _read(self, tx: Tx, one: Standing) -> None:
        """Read a page, and see whether it is the last that has anything new."""
        page = self._stream(tx, one.trigger, self._before)
        keys = [each.key for _, each in page.happened]
        known = one.baseline | triggers.known(tx, one.trigger.name, keys)
        # Where more had happened than a trigger takes down when it is added, what lies behind
        # is known by its time.
        since = one.since if self._before is not None or len(one.baseline) >= PAGE else None
        new = [
            each
            for at, each in page.happened
            if each.key not in known and (since is None or at >= since)
        ]
        self._found.append(new)
        self._back = page.before is not None and len(new) == len(keys)
        self._before = page.before if self._back else None

    def _oldest(self, tx: Tx, one: Standing) -> list[Happened]:
        while self._found:
            keys = [each.key for each in self._found[-1]]
            known: Collection[str] = triggers.known(tx, one.trigger.name, keys)
            left = [each for each in self._found[-1] if each.key not in known]
            if left:
                self._found[-1] = left
                return left[:AT_ONCE]
            self._found.pop()
        return []


def opened(one: Standing) -> list[Backlog]:
    """Return a backlog for each stream that a trigger's happenings come by."""
    return [Backlog(stream) for stream in sources.streams(one.trigger)]
