"""Count requests, errors and latencies of each version by the minute, where the engine can read.

A process counts in memory and appends what is new to a file of its own every few seconds, so
that an answer waits for nothing. Lines of a file are added up; the minute is event time, that
of the newest row the process was asked about where requests bring their time, else the clock's.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from mainspring.ground.monitors import LATENCY_EDGES_S, Pair
from mainspring.ground.objects import DAY_S, Tally
from mainspring.scaling.serving.chores import Chores
from mainspring.scaling.serving.pairing import PairCounts

FLUSH_S = 5.0
PAIRS_S = 0.5  # in a rollout: a version that fails is to be felt at once
MINUTE_S = 60.0
KEPT_DAYS = 400
FOLDER = "tallies"

Ended = Literal["answered", "refused", "failed"]
_Key = tuple[float, int | None]


class Tallies:
    """The counts of one endpoint process.

    * **Never in the way:** :meth:`add` changes numbers under a lock that is never held for I/O.
    * **Durable against kill -9** but for the last :data:`FLUSH_S` seconds; written out on
      :meth:`close`. What a full disk refuses is counted again at the next flush.
    """

    def __init__(
        self,
        folder: Path | None,  #: None: nothing is written, the counts of this process are all
        boot: str,
        now: Callable[[], float],
        also: Callable[[], None] | None = None,  #: what else is written out at the same times
        chores: Chores | None = None,  #: whose thread writes; None: one of its own
    ) -> None:
        self.trouble = ""  #: why the last flush failed
        self._also = also
        self._folder = None if folder is None else folder / FOLDER
        self._boot, self._now = boot, now
        self._event: float | None = None
        self._counts: dict[_Key, list[int]] = {}
        self._latencies: dict[_Key, dict[int, int]] = {}
        self._pairs: dict[tuple[float, int, str | None], PairCounts] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._chore = None if chores is None else chores.add(self._worked)
        self._due_s = math.inf  # so soon the chore will have its turn, from when it was asked for
        if self._chore is None:
            self._thread = threading.Thread(target=self._run, name="tallies", daemon=True)
            self._thread.start()

    def seen(self, event: float | None) -> None:
        """Note the event time of the rows asked about; None: they bring none."""
        self._event = event

    def add(self, version: int | None, seconds: float, ended: Ended) -> None:
        """Count one request: whose it was, how long it took, how it ended."""
        key = self._key(version)
        bucket = bisect_left(LATENCY_EDGES_S, seconds)
        with self._lock:
            counts = self._counts.get(key)
            if counts is None:
                counts, self._latencies[key] = [0, 0, 0], {}
                self._counts[key] = counts
            counts[0] += 1
            if ended == "answered":
                latencies = self._latencies[key]
                latencies[bucket] = latencies.get(bucket, 0) + 1
            else:
                counts[1 if ended == "refused" else 2] += 1
        self._ask_for_a_turn(FLUSH_S)

    def _ask_for_a_turn(self, in_s: float) -> None:
        if self._chore is not None and in_s < self._due_s:
            self._due_s = in_s
            self._chore.wake(in_s)

    def pair(self, version: int, counted: PairCounts, rollout: str | None) -> None:
        """Count how a version did beside the other in one request of a rollout."""
        key = (self._key(version)[0], version, rollout)
        with self._lock:
            known = self._pairs.get(key)
            if known is None:
                known = self._pairs[key] = PairCounts()
            known.add(counted)
        self._ask_for_a_turn(PAIRS_S)

    def _key(self, version: int | None) -> _Key:
        when = self._event if self._event is not None else self._now()
        return when // MINUTE_S * MINUTE_S, version

    def flush(self) -> None:
        """Write out what was counted since the last time."""
        with self._lock:
            counts, latencies, pairs = self._counts, self._latencies, self._pairs
            self._counts, self._latencies, self._pairs = {}, {}, {}
        by_day: dict[int, list[bytes]] = {}
        for key, (requests, refused, errors) in sorted(
            counts.items(), key=lambda item: (item[0][0], item[0][1] or 0)
        ):
            line = Tally(
                minute=key[0],
                version=key[1],
                requests=requests,
                refused=refused,
                errors=errors,
                latencies=latencies[key],
            )
            by_day.setdefault(int(key[0] // DAY_S), []).append(msgspec.json.encode(line))
        for (minute, version, rollout), pair in pairs.items():
            line = Tally(minute=minute, version=version, rollout=rollout, pair=pair.record())
            by_day.setdefault(int(minute // DAY_S), []).append(msgspec.json.encode(line))
        for day, lines in by_day.items():
            self._append(day, b"\n".join(lines) + b"\n")
        if self._also is not None:
            self._also()

    def close(self) -> None:
        """Write out what is left and end the thread."""
        self._closing.set()
        if self._chore is not None:
            self._chore.remove()
        if self._thread is not None:
            self._thread.join(10.0)
        self.flush()

    def _append(self, day: int, data: bytes) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{day:08d}-{self._boot}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, data)
            finally:
                os.close(file)
        except OSError as error:
            # A full disk must not end the serving; /status says so, these counts are lost.
            self.trouble = str(error)

    def _worked(self) -> None:
        self._due_s = math.inf
        self.flush()

    def _run(self) -> None:
        waited = 0.0
        while not self._closing.wait(PAIRS_S):
            waited += PAIRS_S
            if self._pairs or waited >= FLUSH_S:
                self.flush()
                waited = 0.0


def ended_as(status: int) -> Ended:
    """Return how a request ended that was answered with an HTTP status.

    >>> ended_as(200), ended_as(422), ended_as(503)
    ('answered', 'refused', 'failed')
    """
    return "answered" if status < 400 else "refused" if status < 500 else "failed"


def read(folder: Path, since: float, until: float) -> list[Tally]:
    """Return what was counted in minutes with since <= start < until, one tally a version.

    ``minute`` of each is ``since``. A line that was being written is left out.
    """
    whole: dict[int | None, list[Tally]] = {}
    for path in files(folder):
        if not since // DAY_S <= day_of(path) <= until // DAY_S:
            continue
        for found in decoded(path.read_bytes()):
            within = since // MINUTE_S * MINUTE_S <= found.minute < until
            if found.rollout is None and within:
                whole.setdefault(found.version, []).append(found)
    return [
        _added(parts, since)
        for _, parts in sorted(whole.items(), key=lambda item: -1 if item[0] is None else item[0])
    ]


class Follower:
    """Adds up what a rollout's versions did, reading only what was appended since the last time.

    ``since`` is the event time at which the rollout began: no older file is read.
    """

    def __init__(self, folder: Path, rollout: str, since: float) -> None:
        self._folder, self._rollout, self._since = folder, rollout, since
        self._read: dict[Path, int] = {}  # file -> bytes taken into account
        self._known: dict[int, PairCounts] = {}

    def total(self) -> dict[int, Pair]:
        """Return the counts of each version up to now; nothing of one that nobody asked."""
        for path in files(self._folder):
            start = self._read.get(path, 0)
            if day_of(path) < self._since // DAY_S or path.stat().st_size <= start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                # Whole lines only: the last may be in the middle of being written.
                whole = file.read().rpartition(b"\n")[0]
            self._read[path] = start + len(whole) + 1 if whole else start
            for one in decoded(whole):
                if one.rollout == self._rollout and one.pair and one.version is not None:
                    self._known.setdefault(one.version, PairCounts()).add(one.pair)
        return {version: counts.record() for version, counts in self._known.items()}


def decoded(lines: bytes) -> list[Tally]:
    """Return the tallies of whole lines; what a crash cut off is left out."""
    found = []
    for line in lines.split(b"\n"):
        with contextlib.suppress(msgspec.MsgspecError):  # a line that a crash cut off
            found.append(msgspec.json.decode(line, type=Tally))
    return found


def prune(folder: Path) -> int:
    """Remove files of days long past, counted from the newest; return how many."""
    there = files(folder)
    newest = max(map(day_of, there), default=0)
    old = [path for path in there if day_of(path) < newest - KEPT_DAYS]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def files(folder: Path) -> list[Path]:
    """Return the files of all processes and days of an endpoint, by name."""
    found = (folder / FOLDER).glob("*.jsonl") if (folder / FOLDER).is_dir() else ()
    return sorted(path for path in found if path.name.partition("-")[0].isdecimal())


def day_of(path: Path) -> int:
    """Return the day a file is of, as days since 1970."""
    return int(path.name.partition("-")[0])


def _added(parts: list[Tally], since: float) -> Tally:
    latencies: dict[int, int] = {}
    for part in parts:
        for bucket, count in part.latencies.items():
            latencies[bucket] = latencies.get(bucket, 0) + count
    return Tally(
        minute=since,
        version=parts[0].version,
        requests=sum(part.requests for part in parts),
        refused=sum(part.refused for part in parts),
        errors=sum(part.errors for part in parts),
        latencies=dict(sorted(latencies.items())),
    )
