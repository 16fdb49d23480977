"""Share the scoring threads of one process between its endpoints, by the time they use.

All endpoints of a process (the shared host has hundreds) score in the same few threads. Whose
batch is next is decided by deficit round robin over seconds: each endpoint that waits is given a
quantum in turn, and pays with the time its batches took. So an endpoint whose batches take 50 ms
gets one of them where another gets fifty of 1 ms, and that other one waits for one slow batch at
most, not for a queue of them.

Source: M. Shreedhar, G. Varghese, Efficient fair queuing using deficit round-robin, IEEE/ACM
Transactions on Networking 4(3), 1996: with seconds in the place of bytes. What a batch will take
is not known before, so it is charged by estimate and set right afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol
from weakref import WeakKeyDictionary

from mainspring.scaling.serving.admission import Lag

QUANTUM_S = 0.005
MOST_DEBT_S = 1.0  # a hiccup of a minute must not lock an endpoint out for a minute
AWAY_SLOTS = 64  # threads that wait for other processes at a time
MOST_STUCK = 16  # threads that may hang before no more are started
IDLE_S = 5.0  # a thread without work ends


class Task:
    """One batch on its way through a thread."""

    __slots__ = ("lane", "seconds", "started", "stuck", "timer", "work")

    def __init__(self, lane: Lane, work: Callable[[], None], expected_s: float) -> None:
        self.lane, self.work = lane, work
        self.seconds = expected_s  #: that were charged for it
        self.started = 0.0
        self.stuck = False
        self.timer: asyncio.TimerHandle | None = None


class Lane(Protocol):
    """What one endpoint shows the scheduler. All of it is called in the event loop."""

    credit_s: float  #: kept by the scheduler

    def cut(self) -> Task | None:
        """Return the next batch of what waits; None if nothing does."""

    def waits(self) -> bool:
        """Return whether there is something to cut."""

    def timeout_s(self) -> float:
        """Return how long a batch may take."""

    def overdue(self, task: Task) -> None:
        """Give up a batch that takes too long."""

    def ended(self, task: Task, seconds: float) -> None:
        """Take note that a batch has ended, overdue or not."""


class Turns:
    """Threads, and who of those that wait is next. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slots: int | None = None) -> None:
        self.slots = slots or max(2, min(4, os.cpu_count() or 2))
        self.busy = 0  #: threads that score, without those that hang
        self.stuck = 0  #: threads whose batch was given up and has not ended
        self.lag = Lag(loop)
        self._loop = loop
        self._ring: deque[Lane] = deque()
        self._threads = _Threads()

    @property
    def waiting_lanes(self) -> int:
        """Return how many endpoints have something that waits."""
        return len(self._ring)

    def wake(self, lane: Lane) -> None:
        """Note that an endpoint has something to score."""
        if lane not in self._ring:
            self._ring.append(lane)
        self._fill()

    def _fill(self) -> None:
        while self.busy < self.slots and self.stuck < MOST_STUCK:
            lane = self._next()
            if lane is None:
                return
            task = lane.cut()
            if task is not None:
                self._start(task)

    def _next(self) -> Lane | None:
        """Return who is next: the first with credit; where none has, all are given some."""
        for _ in range(len(self._ring)):
            if not self._ring[0].waits():
                gone = self._ring.popleft()
                gone.credit_s = min(gone.credit_s, 0.0)  # credit is not saved up
            else:
                self._ring.rotate(-1)
        if not self._ring:
            return None
        if all(lane.credit_s <= 0.0 for lane in self._ring):
            rounds = min(math.floor(-lane.credit_s / QUANTUM_S) + 1 for lane in self._ring)
            for lane in self._ring:
                lane.credit_s += rounds * QUANTUM_S
        while self._ring[0].credit_s <= 0.0:
            self._ring.rotate(-1)
        return self._ring[0]

    def _start(self, task: Task) -> None:
        self.busy += 1
        task.lane.credit_s -= task.seconds
        task.started = perf_counter()
        task.timer = self._loop.call_later(task.lane.timeout_s(), self._overdue, task)
        self._threads.run(lambda: self._work(task))

    def _work(self, task: Task) -> None:
        # In a thread. ``work`` keeps what it raises; the loop may be closed by now.
        task.work()
        seconds = perf_counter() - task.started
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended, task, seconds)

    def _overdue(self, task: Task) -> None:
        task.stuck = True
        self.busy -= 1
        self.stuck += 1
        task.lane.overdue(task)
        self._fill()

    def _ended(self, task: Task, seconds: float) -> None:
        if task.timer is not None:
            task.timer.cancel()
        if task.stuck:
            self.stuck -= 1
        else:
            self.busy -= 1
        lane = task.lane
        lane.credit_s = max(lane.credit_s + task.seconds - seconds, -MOST_DEBT_S)
        lane.ended(task, seconds)
        self._fill()


class _Threads:
    """Threads that are started when there is work for them, and end when there is none.

    They are daemons: one that hangs in somebody's model must not keep the process from ending.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[], None]) -> None:
        """Have something done by a thread."""
        with self._lock:
            fresh = self._idle == 0
            self._idle -= not fresh
        self._work.put(work)
        if fresh:
            threading.Thread(target=self._serve, name="score", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                continue  # somebody counts on this thread: its work is about to come
            work()
            with self._lock:
                self._idle += 1


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, Turns]] = WeakKeyDictionary()


def of_loop(loop: asyncio.AbstractEventLoop, *, away: bool = False) -> Turns:
    """Return the turns that all endpoints of an event loop share.

    ``away``: those whose threads only wait for another process to score. They take no core of
    ours, so there are many of them: a model that hangs elsewhere must not keep others from theirs.
    """
    known = _known.setdefault(loop, {})
    found = known.get(away)
    if found is None:
        found = known[away] = Turns(loop, AWAY_SLOTS if away else None)
    return found
