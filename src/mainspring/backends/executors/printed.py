"""Keep what a call prints: its head and its tail, however much it is.

Everything goes to one file, so that others can follow it while it grows. What lies between head
and tail is given back to the file system as it comes (a hole), so that a gigabyte takes a few
megabytes of disk and none of memory. At the end the hole is closed and a line says what is
missing. Where a file system knows no holes, what follows the head waits in memory, the newest
bytes of it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections import deque
from contextlib import suppress

HEAD = 2_000_000  #: bytes kept of the beginning
TAIL = 2_000_000  #: bytes kept of the end
_PIPE_BYTES = 1 << 20  #: room for what is printed while the owner does something else
_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ, which Python names from 3.10 on Linux alone
_KEEP_SIZE_PUNCH_HOLE = 0x1 | 0x2
_PAGE = 1 << 16


def wide_pipe() -> tuple[int, int]:
    """Return the two ends of a pipe that takes a megabyte; the reading end does not block."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with suppress(OSError):  # a limit of the system: then it takes less
        if sys.platform == "linux":
            fcntl.fcntl(theirs, _SETPIPE_SZ, _PIPE_BYTES)
    return ours, theirs


class Printed:
    """The file that keeps what a call prints, after what it held before.

    A disk without room never ends the call: what does not fit is counted and told.
    """

    def __init__(self, path: str, head: int = HEAD, tail: int = TAIL) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.lseek(self._file, 0, os.SEEK_END)  # it may hold what came before
        self._head, self._tail = self._size + head, tail
        self._hole = self._head // _PAGE * _PAGE  # up to here there is nothing after the head
        self._late: deque[bytes] | None = None  # the newest bytes, where holes cannot be made
        self._waiting = 0  # bytes in it
        self._lost = 0  # bytes that are nowhere any more

    def write(self, data: bytes) -> None:
        """Take in what was printed."""
        if self._late is not None:
            self._remember(data)
            return
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:  # no room, or a disk that fails: the call is not to blame
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                raise
            self._lost += len(data) - written
        self._size += written
        if self._size - self._hole > 3 * self._tail:
            self._forget()

    def close(self) -> None:
        """Leave head and tail in the file, with a line between them that says what is missing."""
        try:
            self._settle()
        finally:
            os.close(self._file)

    def _settle(self) -> None:
        end = self._size
        late = b"".join(self._late or ())[-self._tail :]
        out = self._lost
        if end + self._waiting <= self._head + self._tail and not out:
            if late:
                _append(self._file, late)
            return
        if self._late is None:
            late = os.pread(self._file, self._tail, max(self._head, end - self._tail))
        head = min(self._head, end)
        out += max(0, end - head) + (self._waiting if self._late is not None else 0) - len(late)
        words = f"\n... {out:,} bytes of what was printed are left out here ...\n"
        with suppress(OSError):  # a disk that is full took no tail either
            os.ftruncate(self._file, head)
            _append(self._file, words.encode() + late)

    def _forget(self) -> None:
        """Give back what lies between the head and the tail."""
        end = (self._size - self._tail) // _PAGE * _PAGE
        start = max(self._head // _PAGE * _PAGE + _PAGE, self._hole)
        if end <= start:
            return
        if _punch(self._file, start, end - start):
            self._hole = end
        else:
            self._late = deque()

    def _remember(self, data: bytes) -> None:
        assert self._late is not None  # noqa: S101  the caller looked
        self._late.append(data)
        self._waiting += len(data)
        while self._waiting - len(self._late[0]) > self._tail:
            gone = self._late.popleft()
            self._waiting -= len(gone)
            self._lost += len(gone)


def _append(number: int, data: bytes) -> None:
    os.lseek(number, 0, os.SEEK_END)
    while data:
        data = data[os.write(number, data) :]


def _punch(number: int, start: int, length: int) -> bool:
    """Make a hole in a file; return whether its file system can."""
    if sys.platform != "linux":
        return False
    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
    return bool(call(number, _KEEP_SIZE_PUNCH_HOLE, start, length) == 0)
