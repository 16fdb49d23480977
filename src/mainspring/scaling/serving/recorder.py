"""Append captured rows to segment files from a thread, without ever holding up an answer."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mainspring.ground.clock import Clock, SystemClock
from mainspring.scaling.serving import sampling, segments
from mainspring.scaling.serving.chores import Chores
from mainspring.scaling.serving.losses import Losses
from mainspring.scaling.serving.sampling import Draw, Share
from mainspring.scaling.serving.segments import EMPTY, Batch, Span

_log = logging.getLogger(__name__)
RETRY_S = 0.5  # between two attempts at a disk that refuses
GATHER_S = 0.1  # requests of so long share a frame: fewer bytes, fewer writes, fewer wake-ups


class CaptureWriter:
    """The capture log of one endpoint process.

    * **Never in the way:** :meth:`append` puts rows on a queue bounded by rows and by bytes, and
      returns; when it is full they are dropped and counted.
    * **Told apart:** a row's id is ``<boot>-<number>``; boot is new for each writer, so ids are
      unique across restarts.
    * **Durable against kill -9** once written, at most ``gather_s`` and one write after the
      answer; what was not written yet is lost with the process. A power cut may lose what is
      not sealed.
    * **Patient with the disk:** what it refuses waits in the queue and is tried again every
      :data:`RETRY_S`. Trouble is told by :meth:`status`, and to the engine (:mod:`losses`).

    A segment is sealed after ``seal_rows`` rows or ``seal_s`` seconds. With ``chores`` a thread
    that many writers share does the writing, else one of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        seal_rows: int = 50_000,
        seal_s: float = 5.0,
        queue_rows: int = 200_000,
        queue_bytes: int = 64 << 20,
        gather_s: float = GATHER_S,
        chores: Chores | None = None,
    ) -> None:
        self.boot = os.urandom(6).hex()
        self.written_rows = 0
        self.dropped_rows = 0
        self.sampled_out_rows = 0  #: not drawn, where a share of the rows is recorded
        self.trouble = ""  #: why rows are lost or wait now; empty again once all is well
        self.folder = folder
        self._clock = clock or SystemClock()
        self._seal_rows, self._seal_s = seal_rows, seal_s
        self._queue_rows, self._queue_bytes = queue_rows, queue_bytes
        self._gather_s = gather_s
        self._next = 0
        self._queued = self._queued_bytes = 0
        self._queue: deque[tuple[Batch, int]] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()  # somebody waits for what is taken to be written
        self._idle = threading.Event()
        self._idle.set()
        self._closing = False
        self._file: _Segment | None = None
        self._serial = 0
        self._draw = Draw(self.boot)
        self._share = 1.0
        self._shares: deque[Share] = deque()  # in force, and not written down yet
        self._losses = Losses(folder, self.boot)
        self._counted = 0  # of the dropped rows, those that were told
        self._retry_at = 0.0
        # A disk in trouble must not keep an endpoint from starting: it is tried again.
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread: threading.Thread | None = None
        self._chore = None if chores is None else chores.add(self._worked)
        if self._chore is None:
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

    def append(self, batch: Batch, share: float = 1.0) -> bool:
        """Take rows to be written soon; False if they had to be dropped.

        ``share`` of the rows is recorded, 0 to 1, drawn by their ids (:mod:`sampling`). Rows that
        two versions scored are all recorded: a comparison is paired, and needs each of them.
        """
        if share != self._share:
            self._shared(batch.first, share)
        if share < 1.0 and batch.other_scores is None:
            drawn = self._drawn(batch, share)
            if drawn is None:
                return True
            batch = drawn
        taken = batch.bytes
        with self._lock:
            full = (
                self._queued + batch.rows > self._queue_rows
                or self._queued_bytes + taken > self._queue_bytes
            )
            if full or self._closing:
                self.dropped_rows += batch.rows
                return False
            self._queue.append((batch, taken))
            self._queued += batch.rows
            self._queued_bytes += taken
            self._idle.clear()
        self._nudge()
        return True

    def _nudge(self) -> None:
        """Have what was appended written soon."""
        if not self._wake.is_set():
            self._wake.set()
            if self._chore is not None:
                self._chore.wake(self._gather_s)

    def _shared(self, first: int, share: float) -> None:
        with self._lock:
            if share != self._share:
                self._share = share
                self._shares.append(Share(boot=self.boot, first=first, share=share))
        self._nudge()

    def _drawn(self, batch: Batch, share: float) -> Batch | None:
        if batch.ids is not None:
            wanted = np.array([sampling.own(name, share) for name in batch.ids])
            left_out = batch.rows - int(wanted.sum())
        elif batch.rows == 1:
            if self._draw.one(batch.first, share):
                return replace(batch, share=share)
            left_out = 1
        else:
            wanted = self._draw.several(batch.numbered, share)
            left_out = batch.rows - int(wanted.sum())
        with self._lock:
            self.sampled_out_rows += left_out
        return None if left_out == batch.rows else batch.only(wanted, share)

    @property
    def queued_rows(self) -> int:
        """Return how many rows wait to be written."""
        return self._queued

    @property
    def queued_bytes(self) -> int:
        """Return about how much memory they take."""
        return self._queued_bytes

    def flush(self, timeout_s: float = 60.0) -> bool:
        """Wait until everything taken so far is written; False if it was not in time."""
        self._hurry.set()
        if self._chore is not None:
            self._chore.wake(0.0)
        return self._idle.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is left, seal the segment and end the thread.

        What the disk refuses even now is dropped and counted.
        """
        with self._lock:
            self._closing = True
        if self._chore is not None:
            self._chore.remove()
            self._turn()
        self._wake.set()
        self._hurry.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def status(self) -> dict[str, Any]:
        """Return the counts that are shown of a writer."""
        return {
            "written_rows": self.written_rows,
            "dropped_rows": self.dropped_rows,
            "sampled_out_rows": self.sampled_out_rows,
            "queued_rows": self._queued,
            "queued_bytes": self._queued_bytes,
            "share": self._share,
            "trouble": self.trouble,
        }

    def _run(self) -> None:
        while True:
            self._wake.wait(self._rest())
            self._hurry.wait(self._gather_s)
            self._wake.clear()
            self._hurry.clear()
            if self._turn():
                return

    def _worked(self) -> float | None:
        self._wake.clear()
        return None if self._turn() else self._rest()

    def _rest(self) -> float | None:
        """Return how long there is nothing to do at most; None: until somebody appends."""
        if self.trouble:
            return RETRY_S
        return self._seal_s if self._file is not None else None

    def _turn(self) -> bool:
        """Write what waits, seal what is due, tell trouble; return whether this was the last."""
        if self._closing or time.monotonic() >= self._retry_at:
            self._write(self._take())
            self._seal_if_due(at_once=self._closing)
            self._note_shares()
        self._tell()
        with self._lock:
            if self._queued == 0:
                self._idle.set()
            if not self._closing:
                return False
        self._losses.close(self._clock.now())
        return True

    def _take(self) -> list[tuple[Batch, int]]:
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def _write(self, waiting: list[tuple[Batch, int]]) -> None:
        alike: dict[tuple[Any, ...], list[tuple[Batch, int]]] = {}
        for one in waiting:
            alike.setdefault(one[0].shape(), []).append(one)
        groups = list(alike.values())
        for place, group in enumerate(groups):
            rows = sum(batch.rows for batch, _ in group)
            try:
                self._segment().append([batch for batch, _ in group], self.boot)
                self.written_rows += rows
            except OSError as error:
                # A full disk must not end the serving, and may be well again in a moment.
                self._refused(error)
                if not self._closing:
                    with self._lock:
                        self._queue.extendleft(
                            one for g in reversed(groups[place:]) for one in g[::-1]
                        )
                    return
                self._dropped(rows)
            # One batch that cannot be encoded must not keep all others from being written.
            except Exception as error:  # noqa: BLE001
                _log.exception("%d rows cannot be captured", rows)
                self.trouble = f"{type(error).__name__}: {error}"
                self._dropped(rows)
            with self._lock:
                self._queued -= rows
                self._queued_bytes -= sum(size for _, size in group)

    def _dropped(self, rows: int) -> None:
        with self._lock:
            self.dropped_rows += rows

    def _refused(self, error: OSError) -> None:
        if not self.trouble:
            _log.error("captures of %s cannot be written: %s", self.folder.name, error)
        self.trouble = str(error)
        self._retry_at = time.monotonic() + RETRY_S
        if self._file is not None and self._file.broken:
            self._file = None

    def _note_shares(self) -> None:
        try:
            while self._shares:
                sampling.note(self.folder, [self._shares[0]])
                self._shares.popleft()
        except OSError as error:
            self._refused(error)

    def _tell(self) -> None:
        """Tell losses while there are any, and that they are over."""
        now = self._clock.now()
        lost, self._counted = self.dropped_rows - self._counted, self.dropped_rows
        if lost and not self.trouble:
            self.trouble = "closed" if self._closing else "the queue was full"
        if lost or time.monotonic() < self._retry_at:
            self._losses.note(now, lost, self._queued, self.trouble)
        elif self._losses.well(now):
            self.trouble = ""

    def _segment(self) -> _Segment:
        if self._file is None:
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            stem = f"{int(self._clock.now() * 1000):013d}-{self.boot}-{self._serial:06d}"
            self._serial += 1
            self._file = _Segment(self.folder, stem, self._clock.now())
            self._losses.prepare()
        return self._file

    def _seal_if_due(self, *, at_once: bool) -> None:
        file = self._file
        if file is None:
            return
        age = self._clock.now() - file.opened
        if at_once or file.span.rows >= self._seal_rows or age >= self._seal_s or age < 0:
            self._file = None
            try:
                file.seal()
            except FileNotFoundError as error:  # its folder was taken away, and the rows with it
                self.written_rows -= file.span.rows
                self._dropped(file.span.rows)
                self._refused(error)
            except OSError as error:
                self._refused(error)  # the rows are there; the engine seals orphans


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
        self.broken = False  #: half a frame could not be taken back

    def append(self, batches: list[Batch], boot: str) -> None:
        data = segments.encode(batches, boot)
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError:
            # Half a frame would hide the next one behind it.
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:
                self.broken = True  # what is whole stays; whoever seals orphans finds it
                os.close(self._fd)
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
