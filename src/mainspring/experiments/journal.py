"""The journal of a process: what it logged, appended to a file, one write a call.

One journal belongs to one process. Its name sorts by the time it was made; its bytes are one
stream, kept in files that are each named after the place in the stream where they begin
(``jrn_01jz...-0000000000000000``). The process holds a lock of the kernel's on the newest file
for as long as it lives, however it dies, so that others can tell whether more may come.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mainspring.experiments.frames import packed
from mainspring.ground.errors import StoreError
from mainspring.ground.identity import new_id

TURN_BYTES = 32 << 20  #: a file this large is followed by a new one
_DIGITS = 16


class Journal:
    """Appends frames for this process; safe in threads, and after a fork the child's own.

    ``generation`` grows when a fork gave the child a journal of its own, in which runs that
    the parent began have to be introduced again.
    """

    def __init__(self, folder: Path, *, turn_bytes: int = TURN_BYTES) -> None:
        self.folder = folder
        self.generation = 0
        self.id = ""
        self._turn_bytes = turn_bytes
        self._lock = threading.RLock()  # a signal's handler may log in the middle of a log
        self._fd = -1
        self._base = 0  # where the open file begins in the stream
        self._size = 0  # of the open file
        self._stopped = ""  # why nothing is written any more
        _OPEN.add(self)

    def append(self, body: bytes) -> None:
        """Append one frame; once this returns, a kill -9 of the process does not lose it.

        Raises:
            StoreError: if the disk did not take it; then nothing of it is kept.
            TooLargeError: if it is larger than a frame may be.
        """
        frame = packed(body)
        with self._lock:
            if self._fd < 0 or self._size >= self._turn_bytes:
                self._turn()
            try:
                count = os.write(self._fd, frame)
            except OSError as error:
                raise StoreError(f"The journal takes no more: {error.strerror}.") from error
            if count != len(frame):
                self._undo(count)
            self._size += count

    def flush(self) -> None:
        """Wait until everything appended so far survives a power cut.

        Raises:
            StoreError: if the disk failed; then the journal takes nothing more.
        """
        with self._lock:
            if self._fd < 0:
                return
            if os.fstat(self._fd).st_nlink == 0:
                self._stop(f"The journal in {self.folder} was deleted while it was written.")
                raise StoreError(self._stopped)
            self._flush(self._fd)

    def close(self) -> None:
        """Let go of the file; what comes after begins a journal of another name."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd, self.id = -1, ""
                self.generation += 1

    @property
    def end(self) -> int:
        """Return where the stream ends by now."""
        return self._base + self._size

    def _turn(self) -> None:
        """Begin the next file of the stream, or the first."""
        if self._stopped:
            raise StoreError(self._stopped, hint="Repair the disk, then start again.")
        base, old = 0, self._fd
        if old >= 0:
            base = self._base + os.fstat(old).st_size
            self._flush(old)
        else:
            self.id = new_id("jrn")
        try:
            self._fd = _begin(self.folder, f"{self.id}-{base:0{_DIGITS}d}")
        except OSError as error:
            raise StoreError(f"No journal can be begun in {self.folder}: {error}.") from error
        self._base, self._size = base, 0
        if old >= 0:  # only now: somebody must always be seen to hold the lock
            os.close(old)

    def _undo(self, count: int) -> None:
        """Take back half a frame, which a full disk took."""
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - count)
        except OSError as error:
            self._stop(f"The journal could not take back half a frame: {error.strerror}.")
            raise StoreError(self._stopped) from error
        raise StoreError("The disk of the journal is full; nothing of this call was kept.")

    def _flush(self, fd: int) -> None:
        try:
            os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)
        except OSError as error:
            # The kernel may now call the lost pages clean, so a second try would lie.
            self._stop(f"The disk failed to flush the journal ({error.strerror}).")
            raise StoreError(self._stopped) from error

    def _stop(self, why: str) -> None:
        self._stopped = why
        os.close(self._fd)
        self._fd = -1

    def _forked(self) -> None:
        """Leave the parent its journal, in the child of a fork."""
        self._lock = threading.RLock()  # the old one may be held by a thread that is not here
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._base, self._size = -1, 0, 0
        self.generation += 1


_OPEN: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork() -> None:
    for journal in list(_OPEN):
        journal._forked()  # noqa: SLF001  the one place that knows of forks


os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------- for those who read


class Part(msgspec.Struct, frozen=True):
    """One file of a journal."""

    path: Path
    begin: int  #: in the stream
    size: int


def listed(folder: Path) -> dict[str, list[Part]]:
    """Return the journals of a folder, oldest first, each with its files in order."""
    found: dict[str, list[Part]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name, _, begin = entry.name.rpartition("-")
                if name.startswith("jrn_") and begin.isdecimal():
                    try:
                        size = entry.stat().st_size
                    except FileNotFoundError:  # folded by somebody else just now
                        continue
                    found.setdefault(name, []).append(Part(Path(entry.path), int(begin), size))
    except FileNotFoundError:
        return {}
    return {name: sorted(found[name], key=lambda part: part.begin) for name in sorted(found)}


def followed(parts: list[Part]) -> tuple[list[Part], bool]:
    """Return a journal's files as they are by now, and whether its process may still write.

    If it may not, their sizes are final. Of a journal that somebody else folded to its end just
    now, nothing is left.
    """
    found = parts[:-1]
    newest = parts[-1]
    while True:
        with locked(newest.path) as free:
            try:
                size = newest.path.stat().st_size
            except FileNotFoundError:
                return found, False
        found.append(Part(newest.path, newest.begin, size))
        if not free:
            return found, True
        # The writer may have gone on to another file before it let go of this one.
        name = newest.path.name[:-_DIGITS]
        begin = newest.begin + size
        after = newest.path.with_name(f"{name}{begin:0{_DIGITS}d}")
        if size == 0 or not after.exists():
            return found, False
        newest = Part(after, begin, 0)


def is_alive(folder: Path, name: str) -> bool:
    """Return whether the process of a journal may still write to it."""
    parts = listed(folder).get(name)
    return parts is not None and followed(parts)[1]


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Say whether nobody writes to a file, and let nobody begin to while the block lasts."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            # Shared, or two who ask at once would take each other for the writer.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def bytes_from(parts: list[Part], start: int, most: int) -> bytes:
    """Return bytes of a stream from a place on: of at most ``most``, and of one file.

    Raises:
        StoreError: if the file that held the place is gone.
    """
    for part in parts:
        if part.begin <= start < part.begin + max(part.size, 1):
            with part.path.open("rb", buffering=0) as file:
                file.seek(start - part.begin)
                return file.read(most) or b""
    if parts and start == parts[-1].begin + parts[-1].size:
        return b""
    raise StoreError(f"The journal has no file for its byte {start:,}.")


def _make_private(folder: Path) -> None:
    """Make a folder for the owner alone, and those above it too: ``parents`` gives no mode."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _begin(folder: Path, name: str) -> int:
    """Make a file that is locked before anybody can see it, and make its name durable."""
    _make_private(folder)
    hidden = folder / f".{name}"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(hidden, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(folder / name)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(place)
        finally:
            os.close(place)
    except BaseException:
        os.close(fd)
        raise
    return fd
