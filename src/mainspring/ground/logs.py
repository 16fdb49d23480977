"""Write what a process does as lines of JSON, one event a line, with the ids at hand.

A process calls :func:`begin` once. From then on everything said through Python's ``logging``
becomes a line, and so does every exception that nobody caught. Elsewhere::

    _log = logging.getLogger("mainspring.engine")

    with logs.about(run="run_01j9", step="train"):
        _log.info("step began")                          # has run and step
        _log.warning("slow", extra={"seconds": 12.5})    # and a field of its own
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import math
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import BadInputError
from mainspring.ground.logfiles import LogFile
from mainspring.ground.secrecy import HIDDEN, hide, is_secret_name, scrubbed

#: From the least to the most serious.
LEVELS = ("debug", "info", "warning", "error", "critical")
MOST_EVENT = 4_000  #: characters of an event or of a field; what is longer is cut
MOST_TRACE = 16_000  #: the end of a trace says what happened, so its beginning is cut
MOST_WAITING = 10_000  #: lines that wait for the disk; the next are counted and let go
MOST_A_SECOND = 20  #: lines that one place in the code may say in a second
FLUSH_S = 2.0  #: how long a process that ends waits for its last lines

_ABOUT: ContextVar[dict[str, Any] | None] = ContextVar("mainspring_log_about", default=None)
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
#: Of every line, and in this order; the rest follows.
_FIRST = ("time", "level", "process", "pid", "event")


@contextlib.contextmanager
def about(**ids: Any) -> Iterator[None]:
    """Give every line of this thread or task these fields while the block lasts."""
    given = {key: value for key, value in ids.items() if value is not None}
    token = _ABOUT.set({**(_ABOUT.get() or {}), **given})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def stamp(seconds: float) -> str:
    """Return a UTC time as lines bear it: always 27 characters, so that texts sort by time.

    >>> stamp(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def check_level(level: str, field: str = "level") -> str:
    """Return a level's name in small letters.

    Raises:
        BadInputError: if there is none of this name.
    """
    if level.lower() not in LEVELS:
        raise BadInputError(
            f"{field} must be one of {', '.join(LEVELS)}, found {level[:40]!r}.", field=field
        )
    return level.lower()


def line_of(
    at: float, level: str, process: str, pid: int, event: str, fields: Mapping[str, Any]
) -> bytes:
    """Return one line, its secrets taken out, that ends in a newline."""
    found: dict[str, Any] = {
        "time": stamp(at),
        "level": level,
        "process": process,
        "pid": pid,
        "event": _cut(scrubbed(event), MOST_EVENT),
    }
    for key, value in fields.items():
        if value is not None and key not in _FIRST:
            found[key] = HIDDEN if is_secret_name(key) else _plain(key, value)
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = scrubbed(value if isinstance(value, str) else str(value))
    return text[-MOST_TRACE:] if key == "trace" else _cut(text, MOST_EVENT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


class Log:
    """The log of this process.

    Where ``waits`` is False a line is only put into a queue (2 us), and a thread writes it:
    requests never wait for a disk. Else the line is in the file when the call returns.
    """

    def __init__(
        self,
        file: LogFile,
        process: str,
        *,
        waits: bool = True,
        ids: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.process = process
        self._file = file
        self._ids = dict(ids or {})  # of every line
        self._undo: list[Callable[[], None]] = []
        self._clock = clock or SystemClock()
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._lost, self._why = 0, "the disk is slow"
        self._thread: threading.Thread | None = None
        if not waits:
            self._thread = threading.Thread(target=self._follow, name="log", daemon=True)
            self._thread.start()

    def say(self, level: str, event: str, /, **fields: Any) -> None:
        """Write one event."""
        self.put(level, event, {**(_ABOUT.get() or {}), **fields})

    def put(
        self, level: str, event: str, fields: Mapping[str, Any], *, at: float | None = None
    ) -> None:
        """Write one event with these fields and the log's own; never raises."""
        pid = os.getpid()
        fields = {**self._ids, **fields}
        line = (self._clock.now() if at is None else at, level, self.process, pid, event, fields)
        if self._thread is None or pid != self._pid:  # a fork has no thread
            self._write(line)
        elif self._queue.qsize() < MOST_WAITING:
            self._queue.put(line)
        else:
            self._lost += 1

    def on_close(self, undo: Callable[[], None]) -> None:
        """Have something done when the log is closed."""
        self._undo.append(undo)

    def close(self) -> None:
        """Write what waits, within a moment, and let go of the file and of what was caught."""
        while self._undo:
            self._undo.pop()()
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread.join(FLUSH_S)
        self._file.close()

    def _follow(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)

    def _write(self, line: tuple[Any, ...]) -> None:
        lost = self._lost
        if lost and self._file.append(self._missing(lost)):
            self._lost -= lost
        if not self._file.append(line_of(*line)) and self._file.trouble:
            self._lost += 1
            self._why = self._file.trouble

    def _missing(self, lost: int) -> bytes:
        told = f"{lost} lines could not be written: {self._why}"
        now = self._clock.now()
        return line_of(now, "warning", self.process, os.getpid(), told, {"lost": lost})


_BEGUN: list[Log] = []  # of this process; the last is where things are said


def put(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """Write one event into the log that this process has begun; where it has none, nowhere.

    For lines that are too many for Python's ``logging``: they cost a fifth, and no place is
    silenced for saying too much.
    """
    if _BEGUN:
        _BEGUN[-1].put(level, event, fields)


class _Lines(logging.Handler):
    """Makes lines of what is said through Python's ``logging``."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._said: dict[tuple[str, int, int], tuple[int, int]] = {}  # second, times

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless the same place says the same too often."""
        fields: dict[str, Any] = {"logger": record.name, **(_ABOUT.get() or {})}
        fields |= {key: v for key, v in record.__dict__.items() if key not in _OWN}
        unsaid = self._unsaid(record)
        if unsaid is None:
            return
        if unsaid:
            fields["unsaid"] = unsaid
        if record.exc_info and record.exc_info[1] is not None:
            fields["trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        try:
            event = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the text
            event = str(record.msg)
        self._log.put(record.levelname.lower(), event, fields, at=record.created)

    def _unsaid(self, record: logging.LogRecord) -> int | None:
        """Return how many the same place had let go before this one; None to let it go too.

        A model that fails at every request must not push all other lines out of the folder.
        """
        place, second = (record.name, record.lineno, record.levelno), int(record.created)
        began, times = self._said.get(place, (second, 0))
        if began == second:
            self._said[place] = (second, times + 1)
            return None if times >= MOST_A_SECOND else 0
        self._said[place] = (second, 1)
        return max(times - MOST_A_SECOND, 0)


def begin(
    home: Path,
    process: str,
    *,
    level: str = "info",
    waits: bool = True,
    shown: bool = False,
    days: float = 14,
    most_mb: int = 256,
    secrets: tuple[str | None, ...] = (),
    ids: Mapping[str, Any] | None = None,
) -> Log:
    """Begin this process's log in a home, and return it; ``process`` is its name there.

    Our own loggers are kept from ``level`` on, those of others from ``warning`` on. What nobody
    caught, in any thread, is kept with its trace. ``shown`` prints warnings as well, as Python
    does where nothing else is set up. ``ids`` stand in every line. Closing the log ends it all.
    """
    for secret in secrets:
        hide(secret)
    file = LogFile(home / "logs", process, days=days, most_bytes=most_mb * 1_000_000)
    log = Log(file, process, waits=waits, ids=ids)
    lines, ours, root = _Lines(log), logging.getLogger("mainspring"), logging.getLogger()
    before, raising = ours.level, logging.raiseExceptions
    handlers = [lines, logging.lastResort] if shown and logging.lastResort else [lines]
    for one in handlers:
        root.addHandler(one)
    ours.setLevel(check_level(level, "log_level").upper())
    logging.raiseExceptions = False

    def undo() -> None:
        for one in handlers:
            root.removeHandler(one)
        ours.setLevel(before)
        logging.raiseExceptions = raising

    log.on_close(undo)
    _BEGUN.append(log)
    log.on_close(lambda: _BEGUN.remove(log))
    _catch_all(log)
    atexit.register(log.close)
    log.on_close(lambda: atexit.unregister(log.close))
    return log


def _catch_all(log: Log) -> None:
    """Keep what nobody caught; it is printed as well, where a person may look on."""
    printed, in_thread = sys.excepthook, threading.excepthook

    def caught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            _keep(log, "ended by an exception", error)
        printed(kind, error, at)

    def caught_in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread is not None else "unknown"
            _keep(log, f"thread {name} ended by an exception", args.exc_value)
        in_thread(args)

    def undo() -> None:
        sys.excepthook, threading.excepthook = printed, in_thread

    sys.excepthook, threading.excepthook = caught, caught_in_thread
    log.on_close(undo)


def _keep(log: Log, event: str, error: BaseException) -> None:
    told = f"{event}: {type(error).__name__}: {error}"
    log.say("critical", told, trace="".join(traceback.format_exception(error)))
