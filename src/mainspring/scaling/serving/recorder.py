"""Append captured rows to segment files from a thread, without ever holding up an answer."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from mainspring.ground.clock import Clock, SystemClock
from mainspring.scaling.serving import segments
from mainspring.scaling.serving.segments import EMPTY, Batch, Span

GATHER_S = 0.02  # requests of so long share a frame: fewer bytes, fewer writes, fewer wake-ups


class CaptureWriter:
    """The capture log of one endpoint process.

    * **Never in the way:** :meth:`append` puts rows on a bounded queue and returns; when it is
      full they are dropped and counted.
    * **Told apart:** a row's id is ``<boot>-<number>``; boot is new for each writer, so ids are
      unique across restarts.
    * **Durable against kill -9** once written, at most :data:`GATHER_S` and one write after the
      answer; what was not written yet is lost with the process. A power cut may lose what is
      not sealed.

    A segment is sealed after ``seal_rows`` rows or ``seal_s`` seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        seal_rows: int = 50_000,
        seal_s: float = 5.0,
        queue_rows: int = 200_000,
    ) -> None:
        self.boot = os.urandom(6).hex()
        self.written_rows = 0
        self.dropped_rows = 0
        self.trouble = ""  #: the last reason why rows were dropped
        self.folder = folder
        self._clock = clock or SystemClock()
        self._seal_rows, self._seal_s, self._queue_rows = seal_rows, seal_s, queue_rows
        self._next = 0
        self._queued = 0
        self._queue: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._closing = False
        self._file: _Segment | None = None
        self._serial = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def reserve(self, rows: int) -> int:
        """Return the number of the first of ``rows`` new rows."""
        with self._lock:
            first = self._next
            self._next += rows
            return first

    def ids(self, first: int, rows: int) -> list[str]:
        """Return the prediction ids of rows reserved before."""
        return [f"{self.boot}-{number}" for number in range(first, first + rows)]

    def append(self, batch: Batch) -> bool:
        """Take rows to be written soon; False if they had to be dropped."""
        with self._lock:
            if self._queued + batch.rows > self._queue_rows or self._closing:
                self.dropped_rows += batch.rows
                self.trouble = "closed" if self._closing else "the queue was full"
                return False
            self._queue.append(batch)
            self._queued += batch.rows
            self._idle.clear()
        if not self._wake.is_set():
            self._wake.set()
        return True

    @property
    def queued_rows(self) -> int:
        """Return how many rows wait to be written."""
        return self._queued

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything taken so far is written; False if it was not in time."""
        return self._idle.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is left, seal the segment and end the thread."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def status(self) -> dict[str, Any]:
        """Return the counts that are shown of a writer."""
        return {
            "written_rows": self.written_rows,
            "dropped_rows": self.dropped_rows,
            "queued_rows": self._queued,
            "trouble": self.trouble,
        }

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait(self._seal_s if self._file is not None else None)
            if not self._closing:
                pause.wait(GATHER_S)
            self._wake.clear()
            self._write(self._take())
            self._seal_if_due(at_once=self._closing)
            with self._lock:
                if self._queued == 0:
                    self._idle.set()
                    if self._closing:
                        return

    def _take(self) -> list[Batch]:
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def _write(self, batches: list[Batch]) -> None:
        alike: dict[tuple[Any, ...], list[Batch]] = {}
        for batch in batches:
            alike.setdefault(batch.shape(), []).append(batch)
        for group in alike.values():
            rows = sum(batch.rows for batch in group)
            try:
                self._segment().append(group, self.boot)
                self.written_rows += rows
            except OSError as error:
                # A full disk must not end the serving; the loss is counted and shown.
                self.dropped_rows += rows
                self.trouble = str(error)
            with self._lock:
                self._queued -= rows

    def _segment(self) -> _Segment:
        if self._file is None:
            stem = f"{int(self._clock.now() * 1000):013d}-{self.boot}-{self._serial:06d}"
            self._serial += 1
            self._file = _Segment(self.folder, stem, self._clock.now())
        return self._file

    def _seal_if_due(self, *, at_once: bool) -> None:
        file = self._file
        if file is None:
            return
        age = self._clock.now() - file.opened
        if at_once or file.span.rows >= self._seal_rows or age >= self._seal_s or age < 0:
            try:
                file.seal()
            except OSError as error:
                self.trouble = str(error)  # the rows are there; the engine seals orphans
            self._file = None


class _Segment:
    """One open file, locked for as long as its writer lives, so that others can tell."""

    def __init__(self, folder: Path, stem: str, opened: float) -> None:
        self.opened = opened
        self.span: Span = EMPTY
        self._folder, self._stem = folder, stem
        new = folder / f"{stem}.new"
        self._fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # Locked before it gets its name, or it could be taken for a dead writer's.
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._path = new.rename(folder / f"{stem}{segments.OPEN}")
        self._size = 0

    def append(self, batches: list[Batch], boot: str) -> None:
        data = segments.encode(batches, boot)
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError:
            # Half a frame would hide the next one behind it.
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        times = np.concatenate([batch.times for batch in batches])
        self.span = self.span.joined(Span(float(times.min()), float(times.max()), len(times)))

    def seal(self) -> None:
        try:
            if self.span.rows == 0:
                self._path.unlink(missing_ok=True)
                return
            os.fsync(self._fd)
            self._path.rename(self._folder / segments.sealed_name(self._stem, self.span))
        finally:
            os.close(self._fd)
