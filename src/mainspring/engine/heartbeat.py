"""Keep the leases of this process alive, and tell handlers when to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from mainspring.engine import leases
from mainspring.engine.tasks import Lease
from mainspring.ground.errors import LeaseLostError, MainspringError
from mainspring.ground.ports import Tx

LOOK_S = 0.1  # a cancel reaches its handler within about that time
_log = logging.getLogger("mainspring.engine")


class Heartbeat:
    """Renews every held lease three times in its life, from a thread of its own."""

    def __init__(
        self,
        read: Callable[[Callable[[Tx], Any]], Any],
        write: Callable[[Callable[[Tx], Any]], Any],
        changed: Callable[[], int],
        lease_s: float,
    ) -> None:
        self._read = read
        self._write = write
        self._changed = changed
        self._lease_s = lease_s
        self._held: dict[tuple[str, int], Lease] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        #: whether the engine ends, so that stopped tasks are given back instead of failed
        self.ending = False

    def start(self) -> None:
        """Begin to beat."""
        self._over.clear()
        self.ending = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def stop_all(self) -> None:
        """Ask every handler to stop, because the engine ends; leases are still renewed."""
        with self._lock:
            self.ending = True
            for lease in self._held.values():
                lease.stop.set()

    def end(self) -> None:
        """Beat no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def add(self, lease: Lease) -> None:
        """Keep a lease alive from now on."""
        with self._lock:
            self._held[lease.task.id, lease.attempt] = lease
            if self.ending:
                lease.stop.set()

    def drop(self, lease: Lease) -> None:
        """Let a lease be."""
        with self._lock:
            self._held.pop((lease.task.id, lease.attempt), None)

    def look(self) -> None:
        """Tell the handlers whose task was cancelled or taken over."""
        held = self._now_held()
        for lease in self._read(lambda tx: leases.asked_to_stop(tx, held)) if held else ():
            lease.stop.set()

    def renew(self) -> None:
        """Renew every held lease in one transaction; a lost one tells its handler."""
        held = self._now_held()
        if not held:
            return

        def work(tx: Tx) -> list[Lease]:
            return [lease for lease in held if _lost_or_stopped(tx, lease)]

        for lease in self._write(work):
            lease.stop.set()

    def _now_held(self) -> list[Lease]:
        with self._lock:
            return list(self._held.values())

    def _beat(self) -> None:
        seen: int | None = None
        renewed = time.monotonic()
        while not self._over.wait(min(LOOK_S, self._lease_s / 10)):
            try:
                if time.monotonic() - renewed >= self._lease_s / 3:
                    self.renew()
                    renewed = time.monotonic()
                elif (changed := self._changed()) != seen:
                    self.look()
                    seen = changed
            except MainspringError:
                # The store may come back before the leases run out; if not, fencing holds.
                _log.exception("heartbeat")


def _lost_or_stopped(tx: Tx, lease: Lease) -> bool:
    try:
        return leases.renew(tx, lease)
    except LeaseLostError:
        return True
