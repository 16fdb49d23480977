"""Make log lines of what a process printed: its raw output goes to a file, and is read on here.

The file is what makes this safe: whoever prints never waits for us, and what a process printed
last before it was killed is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

MOST_AT_ONCE = 262_144  #: bytes taken in one turn
_TRACE = "Traceback (most recent call last):"
_WORSE = re.compile(
    r"\s*(?:[\w.\-]+[:\s])?\[?(CRITICAL|FATAL|ERROR|WARNING|WARN)\b|\s*Fatal Python"
)
_LEVELS = {"CRITICAL": "critical", "FATAL": "critical", "ERROR": "error"}

#: (level, text, trace or nothing)
Take = Callable[[str, str, str], None]


class Tail:
    """Reads on in a file of printed text; ``take`` gets each line, a traceback as one.

    ``most_bytes`` bounds how much is taken in all: beyond it one line says that there is more.
    """

    def __init__(
        self, file: Path, take: Take, *, start: int = 0, most_bytes: int | None = None
    ) -> None:
        self.place = start  #: bytes taken so far
        self._file, self._take, self._left = file, take, most_bytes
        self._rest = b""
        self._trace: list[str] = []
        self._told = False

    def drain(self, *, final: bool = False) -> int:
        """Take what is new and whole; ``final`` takes what is left too. Return the bytes read."""
        read = 0
        while True:
            data = self._next()
            read += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > MOST_AT_ONCE:
                lines, self._rest = [*lines, self._rest], b""
            for line in lines:
                self._line(line)
            if not (final and data):
                break
        if final:
            if self._rest:
                self._line(self._rest)
                self._rest = b""
            self._end_trace("")
        return read

    def _next(self) -> bytes:
        try:
            with self._file.open("rb") as handle:
                size = handle.seek(0, 2)
                if size < self.place:  # it was emptied when it grew too long
                    self.place = 0
                if size == self.place:
                    return b""
                handle.seek(self.place)
                data = handle.read(MOST_AT_ONCE)
        except OSError:
            return b""
        self.place += len(data)
        if self._left is None:
            return data
        taken, self._left = data[: self._left], max(self._left - len(data), 0)
        if len(taken) < len(data) and not self._told:
            self._told = True
            self._take("warning", "it printed more than is taken into the logs", "")
        return taken

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if self._trace:
            if text.startswith((" ", "\t")) or not text:
                self._trace.append(text)
            else:
                self._end_trace(text)
        elif text == _TRACE:
            self._trace = [text]
        elif text:
            self._take(level_of(text), text, "")

    def _end_trace(self, last: str) -> None:
        if self._trace:
            trace, self._trace = "\n".join([*self._trace, last]).rstrip(), []
            self._take("error", last or "a traceback that breaks off", trace)


def level_of(text: str) -> str:
    """Return how serious a printed line calls itself.

    >>> level_of("WARNING:root:slow"), level_of("ERROR in app"), level_of("epoch 3")
    ('warning', 'error', 'info')
    """
    found = _WORSE.match(text)
    if found is None:
        return "warning" if re.match(r"\S+: \w*Warning: ", text) else "info"
    return _LEVELS.get(found[1] or "FATAL", "warning")
