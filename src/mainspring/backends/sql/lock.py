"""A fair lock between processes, so that no writer of a SQLite file starves.

SQLite's own lock is polled, and a process that has just released it is the likeliest to
get it again. Here two kernel locks make a queue: whoever wants to write takes the turnstile
first, then waits for the lock with the turnstile closed behind him. A process that comes
back finds the next one already waiting at the door. The kernel lets go of both when a
process dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class FairLock:
    """Two files beside the database, held as ``with lock:`` by one thread at a time."""

    def __init__(self, database: Path) -> None:
        self._turnstile = _open(database.with_name(f"{database.name}-turn"))
        self._lock = _open(database.with_name(f"{database.name}-lock"))

    def __enter__(self) -> None:
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files; they stay, for a lock file that is deleted locks nobody out."""
        os.close(self._turnstile)
        os.close(self._lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
