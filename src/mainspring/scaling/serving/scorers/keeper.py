"""One thread that looks after all child processes of this process: starts, watches, restarts."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Sequence
from typing import Protocol

_log = logging.getLogger(__name__)

TURN_S = 0.25  #: a child that died idle, or holds too much memory, is noticed this late at most


class Kept(Protocol):
    """What the keeper looks after."""

    def look(self) -> Sequence[int]:
        """Do what is due; return the descriptors of children that are starting."""


class Keeper:
    """Looks after what was added to it, every :data:`TURN_S` and whenever something happens.

    Children are started by this thread alone: the kernel ends a child when the thread that
    started it ends, and this one lives as long as the process.
    """

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        # The end of a scorer that nobody holds may come in the midst of any line of any thread.
        self._lock = threading.RLock()
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        threading.Thread(target=self._run, name="scorers", daemon=True).start()

    def add(self, one: Kept) -> None:
        """Look after one more from now on."""
        with self._lock:
            self._kept.append(one)
        self.wake()

    def remove(self, one: Kept) -> None:
        """Look after it no longer."""
        with self._lock:
            self._kept = [other for other in self._kept if other is not one]

    def wake(self) -> None:
        """Look now."""
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"x")

    def _run(self) -> None:
        while True:
            with self._lock:
                kept = list(self._kept)
            waiting = select.poll()
            waiting.register(self._wake, select.POLLIN)
            for one in kept:
                for descriptor in self._looked(one):
                    waiting.register(descriptor, select.POLLIN)
            waiting.poll(round(TURN_S * 1000) if kept else None)
            with contextlib.suppress(BlockingIOError):
                self._wake.recv(4096)

    @staticmethod
    def _looked(one: Kept) -> Sequence[int]:
        try:
            return one.look()
        # The thread serves all models: what goes wrong with one must not leave the others alone.
        except Exception:  # noqa: BLE001
            _log.exception("a scorer could not be looked after")
            return ()


_MAKING = threading.Lock()
_made: dict[int, Keeper] = {}


def keeper() -> Keeper:
    """Return the keeper of this process."""
    with _MAKING:
        # By process: a fork has the object of its parent, but not the thread.
        found = _made.get(os.getpid())
        if found is None:
            found = _made[os.getpid()] = Keeper()
        return found
