"""Append whole lines to a file that several processes share; turn it over; keep it within bounds.

A process writes to ``<process>.jsonl``. When that is large enough it becomes
``<process>.<time>.jsonl`` and a new one begins. Whoever finds it too large turns it over, under
a lock; the others notice that the name means another file and follow.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mainspring.ground.clock import Clock, SystemClock

TURN_BYTES = 8_000_000  #: a file this large is turned over
LOOK_EVERY = 200  #: lines between two looks at what the name means by now
LOOK_S = 1.0
BACK_S = 1.0  #: a clock that goes back further begins a new file, so that each stays in order
_TURNED = re.compile(r"(?P<process>.+)\.\d{8}T\d{6}\.\d{6}\.jsonl")
#: Written no more: lines turned over, raw output that was moved aside, traces of commands.
_DONE = re.compile(r".+\.\d{8}T\d{6}\.\d{6}\.jsonl|.+\.log\.1|crash-[\d-]+\.txt")


class LogFile:
    """The file of one process; ``append`` never raises and never waits for another process.

    ``days`` and ``most_bytes`` bound all logs of the folder together: beyond them the oldest
    files that are written no more go, whosever they are.
    """

    def __init__(
        self,
        folder: Path,
        process: str,
        *,
        days: float = 14,
        most_bytes: int = 256_000_000,
        turn_bytes: int = TURN_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.path = folder / f"{process}.jsonl"
        self.trouble = ""  #: why lines are not written, empty while they are
        self._days, self._most, self._turn = days, most_bytes, turn_bytes
        self._clock = clock or SystemClock()
        self._number: int | None = None  # descriptor
        self._torn = False
        self._since_look = 0
        self._looked = 0.0
        self._newest = 0.0
        self._mutex = threading.Lock()

    def append(self, line: bytes) -> bool:
        """Write one line that ends in a newline; return whether it is in the file."""
        with self._mutex:
            try:
                self._look()
                self._write(line)
            except FileNotFoundError:  # there is no home yet, and a log does not make one
                return False
            except OSError as error:  # a full disk must stop nobody
                self.trouble = error.strerror or type(error).__name__
                return False
            self.trouble = ""
            return True

    def close(self) -> None:
        """Let go of the file."""
        with self._mutex:
            self._close()

    def _write(self, line: bytes) -> None:
        assert self._number is not None  # noqa: S101  opened by the look before
        # One call, and the file is in append mode: lines of several processes do not mix.
        whole = b"\n" + line if self._torn else line
        written = os.write(self._number, whole)
        self._torn = written < len(whole)
        if self._torn:  # the disk is full; the rest would be another's line
            raise OSError(28, "No space left on device")

    def _look(self) -> None:
        """Open the file if it is not, follow it if it was turned over, turn it over if due."""
        now, ticks = self._clock.now(), time.monotonic()
        back = now < self._newest - BACK_S
        self._newest = now
        self._since_look += 1
        fresh = self._since_look < LOOK_EVERY and ticks - self._looked < LOOK_S
        if self._number is not None and fresh and not back:
            return
        self._since_look, self._looked = 0, ticks
        if self._number is not None and _same(self._number, self.path):
            size = os.fstat(self._number).st_size
            if size < self._turn and not (back and size):
                return
            self._turn_over(now)
        self._close()
        self._number = _opened(self.path)
        self._torn = not _ends_whole(self._number)

    def _turn_over(self, now: float) -> None:
        with _alone(self.path.parent) as ours:
            if not ours or self._number is None or not _same(self._number, self.path):
                return  # another does it, or has done it
            self.path.rename(turned_name(self.path, now))
            keep(self.path.parent, days=self._days, most_bytes=self._most, now=now)

    def _close(self) -> None:
        if self._number is not None:
            os.close(self._number)
            self._number = None


def process_of(file: Path) -> str | None:
    """Return which process a file of lines is of, or None if it is none."""
    if file.suffix != ".jsonl":
        return None
    found = _TURNED.fullmatch(file.name)
    return found["process"] if found else file.name.removesuffix(".jsonl")


def turned_name(path: Path, now: float) -> Path:
    """Return what a file is called once it is full; names sort by time."""
    whole, micros = divmod(round(now * 1e6), 1_000_000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(whole))
    name = path.name.removesuffix(".jsonl")
    while (found := path.with_name(f"{name}.{stamp}.{micros:06d}.jsonl")).exists():
        micros = (micros + 1) % 1_000_000
    return found


def keep(folder: Path, *, days: float, most_bytes: int, now: float) -> list[str]:
    """Delete what is too old, then the oldest until the rest is small enough; return the names.

    Only files that nobody writes any more go.
    """
    files: list[tuple[float, int, Path, bool]] = []
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            found = file.stat()
            done = _DONE.fullmatch(file.name) is not None
            files.append((found.st_mtime, found.st_size, file, done))
    total = sum(size for _, size, _, _ in files)
    gone = []
    for changed, size, file, done in sorted(files):
        if done and (changed < now - days * 86_400 or total > most_bytes):
            with contextlib.suppress(OSError):
                file.unlink()
                total -= size
                gone.append(file.name)
    return gone


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def _ends_whole(number: int) -> bool:
    """Return whether the last line is whole: a killed process may have left half of one."""
    size = os.fstat(number).st_size
    return size == 0 or os.pread(number, 1, size - 1) == b"\n"


def _same(number: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(number)
    return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; False if another process has it."""
    number = os.open(folder / ".turning", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(number)
