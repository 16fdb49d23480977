"""Tell the engine that rows are being lost, on the very disk that takes no more.

A writer makes a file of a few kilobytes while the disk is well, and writes into it in place when
it is not: a full disk has room for what is there already. The file is locked for as long as its
writer lives. One of a writer that lost nothing is taken away at its end; others are, once their
alarm was raised (``workspace/handlers/losing.py``).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import msgspec

ENDING = ".losses"
_ROOM = 4096
TELL_S = 1.0  # between two notes of the same trouble
OVER_S = 5.0  # trouble is over once nothing was lost for so long


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of time in which captured rows could not be written."""

    writer: str
    since: float
    until: float | None = None  #: None: it goes on
    lost: int = 0  #: rows that are gone
    waiting: int = 0  #: rows that wait in memory for the disk
    why: str = ""


class Losses:
    """What one writer tells of its trouble. Called by the thread that writes."""

    def __init__(self, folder: Path, writer: str) -> None:
        self.now: Loss | None = None  #: the trouble that goes on
        self._path = folder / f"{writer}{ENDING}"
        self._writer = writer
        self._fd: int | None = None
        self._told = False
        self._tell_at = 0.0
        self._over_at = 0.0

    def prepare(self) -> None:
        """Have a place to tell trouble before there is any.

        Raises:
            OSError: if the disk is in trouble already.
        """
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(fd, b" " * _ROOM, 0)
        except OSError:
            os.close(fd)
            raise
        self._fd = fd

    def note(self, at: float, lost: int, waiting: int, why: str) -> None:
        """Tell that rows were lost, or wait because the disk refuses them."""
        clock = time.monotonic()
        self._over_at = clock + OVER_S
        before = self.now
        if before is None:
            self.now, self._tell_at = Loss(writer=self._writer, since=at, lost=lost), 0.0
        else:
            self.now = msgspec.structs.replace(before, lost=before.lost + lost)
        self.now = msgspec.structs.replace(self.now, waiting=waiting, why=why[:500])
        if clock >= self._tell_at:
            self._tell_at = clock + TELL_S
            self._write(self.now)

    def well(self, at: float) -> bool:
        """Tell that all is written again; True once the trouble is over."""
        if self.now is None:
            return True
        if time.monotonic() < self._over_at:
            return False
        return self._end(at)

    def close(self, at: float) -> None:
        """End with the writer."""
        if self.now is not None:
            self._end(at)
        if self._fd is not None:
            if not self._told:
                self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def _end(self, at: float) -> bool:
        if self.now is not None and self._write(
            msgspec.structs.replace(self.now, until=at, waiting=0)
        ):
            self.now = None
        return self.now is None

    def _write(self, loss: Loss) -> bool:
        try:
            self.prepare()
            if self._fd is not None:
                os.pwrite(self._fd, msgspec.json.encode(loss).ljust(_ROOM), 0)
        except OSError:
            return False  # /status tells; it is told here when the disk is back
        self._told = True
        return True


def told(folder: Path) -> list[Loss]:
    """Return the trouble that writers of a folder told of; that of a dead one is over."""
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            loss = msgspec.json.decode(path.read_bytes(), type=Loss)
            if loss.until is None and not _lives(path):
                ended = max(loss.since, path.stat().st_mtime)
                loss = msgspec.structs.replace(loss, until=ended, lost=loss.lost + loss.waiting)
        except (msgspec.MsgspecError, FileNotFoundError):
            continue  # nothing was told, or it has gone
        found.append(loss)
    return found


def forget(folder: Path, writer: str) -> bool:
    """Take away what a dead writer told; False if it lives, or told nothing."""
    path = folder / f"{writer}{ENDING}"
    if not path.exists() or _lives(path):
        return False
    path.unlink(missing_ok=True)
    return True


def _lives(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return True  # gone, or not to be touched now
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
