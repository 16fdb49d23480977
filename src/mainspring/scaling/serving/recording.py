"""What becomes of predictions beside their answers: recorded, printed as lines, or nothing.

An endpoint of a home records them (:class:`mainspring.scaling.serving.recorder.CaptureWriter`).
Where there is no home, as in a container, they get ids all the same, and are lines of JSON on the
standard output for whoever collects those, or are let go.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from mainspring.scaling.serving.segments import Batch

#: Requests that wait to be printed; a reader that is slower loses lines, and never an answer.
MOST_WAITING = 10_000


class Recorder(Protocol):
    """Numbers the rows that one process answers, and takes them when they are."""

    boot: str  #: of this process: prediction ids begin with it

    @property
    def folder(self) -> Path | None:
        """Return where counts are written beside the rows; None: nowhere."""
        ...

    def reserve(self, rows: int) -> int:
        """Return the number of the first of ``rows`` new rows."""
        ...

    def ids(self, first: int, rows: int) -> list[str]:
        """Return the prediction ids of rows reserved before."""
        ...

    def append(self, batch: Batch, share: float = 1.0) -> bool:
        """Take answered rows; False if they were dropped."""
        ...

    def status(self) -> dict[str, Any]:
        """Return the counts that are shown of it."""
        ...

    def close(self, timeout_s: float = 10.0) -> None:
        """Be done with what was taken."""
        ...


class Unrecorded:
    """Keeps nothing: rows are numbered and let go."""

    def __init__(self) -> None:
        self.boot = os.urandom(6).hex()
        self.dropped_rows = 0
        self._next = 0
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path | None:
        """Return that nothing is written anywhere."""
        return None

    def reserve(self, rows: int) -> int:
        """Return the number of the first of ``rows`` new rows."""
        with self._lock:
            first = self._next
            self._next += rows
            return first

    def ids(self, first: int, rows: int) -> list[str]:
        """Return the prediction ids of rows reserved before."""
        return [f"{self.boot}-{number}" for number in range(first, first + rows)]

    def append(self, batch: Batch, share: float = 1.0) -> bool:  # noqa: ARG002
        """Let the rows go."""
        return True

    def status(self) -> dict[str, Any]:
        """Return that nothing is written."""
        return {
            "written_rows": 0,
            "dropped_rows": self.dropped_rows,
            "sampled_out_rows": 0,
            "queued_rows": 0,
            "queued_bytes": 0,
            "share": 0.0,
            "trouble": "",
        }

    def close(self, timeout_s: float = 10.0) -> None:
        """Be done: nothing waits."""


class Printed(Unrecorded):
    """Prints each row as a line of JSON: its id, time, version, columns and scores.

    A thread prints. What it cannot take in time is dropped and counted; an answer never waits.

    Args:
        write: takes the bytes of whole lines; the standard output.
    """

    def __init__(self, write: Callable[[bytes], Any] | None = None) -> None:
        super().__init__()
        self._write = write or _print
        self._printed = 0
        self._queue: queue.Queue[Batch | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="printing", daemon=True)
        self._thread.start()

    def append(self, batch: Batch, share: float = 1.0) -> bool:  # noqa: ARG002
        """Take rows to be printed soon; False if too many wait already."""
        try:
            self._queue.put_nowait(batch)
        except queue.Full:
            self.dropped_rows += batch.rows
            return False
        return True

    def status(self) -> dict[str, Any]:
        """Return how many rows were printed."""
        return super().status() | {"written_rows": self._printed, "share": 1.0}

    def close(self, timeout_s: float = 10.0) -> None:
        """Print what waits."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._write(b"".join(lines_of(batch, self.ids(batch.first, batch.rows))))
            self._printed += batch.rows


def lines_of(batch: Batch, own: list[str]) -> list[bytes]:
    """Return the rows of a request as lines of JSON; ``own`` are ids for those without one."""
    named = own if batch.ids is None else batch.ids
    columns = {
        name: values if isinstance(values, list) else np.asarray(values).tolist()
        for name, values in batch.columns.items()
    }
    lines = []
    for row in range(batch.rows):
        line = {
            "prediction_id": named[row],
            "time": float(batch.times[row]),
            "version": int(batch.versions[row]),
            "columns": {name: values[row] for name, values in columns.items()},
            "scores": batch.scores[row].tolist(),
            "request_id": batch.request,
        }
        lines.append(msgspec.json.encode(line) + b"\n")
    return lines


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
