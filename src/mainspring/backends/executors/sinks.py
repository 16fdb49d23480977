"""Where what a call prints goes: secrets taken out, lines behind their prefix, then the file.

Several calls may print into one file, as the workers of a step do: whole lines, each in turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from mainspring.backends.executors.printed import Printed
from mainspring.ground.ports import Call
from mainspring.ground.secrecy import Hiding

_LONGEST = 1 << 16  # of a line that is waited for as a whole


class Sink(Protocol):
    """Takes in bytes until it is closed."""

    def write(self, data: bytes) -> None:
        """Take in what was printed."""
        ...

    def close(self) -> None:
        """Let go of what is still held back, and of the file."""
        ...


def open_sink(call: Call) -> Sink:
    """Return where what a call prints goes; it has a log."""
    sink: Sink = _Shared(str(call.log))
    if call.prefix:
        sink = _Lines(sink, call.prefix.encode())
    return _Hidden(sink, call.hide) if call.hide else sink


class _File:
    """A file, and how many print into it."""

    def __init__(self, path: str) -> None:
        self.printed, self.turn, self.users = Printed(path), threading.Lock(), 0


_files: dict[str, _File] = {}  # those that are open, by path
_mutex = threading.Lock()


class _Shared:
    """One of those who print into a file; the last that closes it settles it."""

    def __init__(self, path: str) -> None:
        self._path = path
        with _mutex:
            self._file = _files.get(path) or _File(path)
            self._file.users += 1
            _files[path] = self._file

    def write(self, data: bytes) -> None:
        with self._file.turn:
            self._file.printed.write(data)

    def close(self) -> None:
        with _mutex:
            self._file.users -= 1
            if not self._file.users:
                del _files[self._path]
                self._file.printed.close()


class _Lines:
    """Puts a prefix before each line, and hands whole lines on."""

    def __init__(self, sink: Sink, prefix: bytes) -> None:
        self._sink, self._prefix, self._rest = sink, prefix, b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            self._sink.write(b"".join(self._prefix + line + b"\n" for line in lines))

    def close(self) -> None:
        if self._rest:
            self.write(b"\n")
        self._sink.close()


class _Hidden:
    """Takes secrets out, also where one comes in two pieces."""

    def __init__(self, sink: Sink, secrets: list[str]) -> None:
        self._sink, self._hiding, self._rest = sink, Hiding(secrets), b""

    def write(self, data: bytes) -> None:
        self._hand_on(self._hiding.begun, data)

    def close(self) -> None:
        self._hand_on(lambda _: 0, b"")
        self._sink.close()

    def _hand_on(self, held: Callable[[bytes], int], data: bytes) -> None:
        whole = self._hiding.data(self._rest + data)
        back = held(whole)
        self._rest = whole[len(whole) - back :]
        if len(whole) > back:
            self._sink.write(whole[: len(whole) - back])
