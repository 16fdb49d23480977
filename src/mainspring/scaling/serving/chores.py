"""One thread for the small recurring work of many: each has a turn when it is due."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable
from itertools import count
from time import monotonic

_log = logging.getLogger(__name__)

#: Does what is due; returns in how many seconds it is due again, None: when it is woken.
Work = Callable[[], float | None]


class Chores:
    """Runs work of many in one thread, one after the other.

    Work must not wait for anything but its own disk: it holds up all others. What it raises is
    logged, and it has its next turn :data:`AGAIN_S` later.
    """

    AGAIN_S = 1.0

    def __init__(self, name: str) -> None:
        self._due: list[tuple[float, int, Chore]] = []
        self._number = count()
        self.lock = threading.Condition()
        self.running: Chore | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, work: Work, due_s: float | None = None) -> Chore:
        """Give work turns from now on, the first in ``due_s`` seconds; None: when it is woken."""
        chore = Chore(self, work)
        if due_s is not None:
            chore.wake(due_s)
        return chore

    def close(self) -> None:
        """End the thread; nothing has a turn any more."""
        with self.lock:
            self._closed = True
            self.lock.notify_all()
        self._thread.join(10.0)

    def push(self, chore: Chore, when: float) -> None:
        """Put a chore in its time. The lock is held."""
        chore.when = when
        heapq.heappush(self._due, (when, next(self._number), chore))
        self.lock.notify_all()

    def _run(self) -> None:
        while True:
            with self.lock:
                chore = self._next()
                if chore is None:
                    return
            again = self._worked(chore)
            with self.lock:
                self.running = None
                if again is not None and not chore.removed:
                    when = monotonic() + again
                    if chore.when is None or when < chore.when:
                        self.push(chore, when)
                self.lock.notify_all()

    def _next(self) -> Chore | None:
        """Wait for the next chore that is due and return it; None at the end. The lock is held."""
        while not self._closed:
            now = monotonic()
            if not self._due or self._due[0][0] > now:
                self.lock.wait(self._due[0][0] - now if self._due else None)
                continue
            when, _, chore = heapq.heappop(self._due)
            if chore.when == when and not chore.removed:  # else it was put at another time
                chore.when, self.running = None, chore
                return chore
        return None

    def _worked(self, chore: Chore) -> float | None:
        try:
            return chore.work()
        # The thread serves many: one that fails must not leave the others without.
        except Exception:  # noqa: BLE001
            _log.exception("work of a shared thread failed")
            return self.AGAIN_S


class Chore:
    """The place of one in the row."""

    __slots__ = ("_chores", "removed", "when", "work")

    def __init__(self, chores: Chores, work: Work) -> None:
        self._chores, self.work = chores, work
        self.when: float | None = None
        self.removed = False

    def wake(self, due_s: float = 0.0) -> None:
        """Have a turn in ``due_s`` seconds, unless one is due before."""
        with self._chores.lock:
            when = monotonic() + due_s
            if not self.removed and (self.when is None or when < self.when):
                self._chores.push(self, when)

    def remove(self) -> None:
        """Have no turn any more; waits for one that is under way."""
        with self._chores.lock:
            self.removed = True
            while self._chores.running is self:
                self._chores.lock.wait(1.0)
