"""The child processes of one model: taken and given back, started, watched, replaced."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from mainspring.ground.errors import BadInputError, OverloadedError, UnavailableError
from mainspring.ground.objects import EndpointLimits
from mainspring.scaling.models.apart.spawned import Launch, Spawned
from mainspring.scaling.serving.scorers.breaker import Breaker
from mainspring.scaling.serving.scorers.keeper import Keeper

_log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.25  #: before the second restart in a row; the first is at once
LONGEST_BACKOFF_S = 30.0
WELL_S = 30.0  #: a child that lived so long was well: the next restart is at once again


class Children:
    """Keeps ``wanted`` children of one launch alive, and lets each be asked by one thread.

    Restarts wait longer each time; a breaker, told of every failure, refuses calls for a while
    after several. Everything is under one lock that is never held for the time of a call.
    """

    def __init__(
        self,
        launch: Launch,
        limits: Callable[[], EndpointLimits],
        wanted: int,
        breaker: Breaker,
        kept_by: Keeper,
        name: str,
    ) -> None:
        self.why = ""  #: the last failure, in words
        self._launch, self._limits, self._wanted = launch, limits, wanted
        self._breaker, self._keeper, self._name = breaker, kept_by, name
        self._turn = threading.Condition()
        self._starting: list[Spawned] = []
        self._idle: list[Spawned] = []
        self._busy: list[Spawned] = []
        self._due = 0.0  # no child is started before
        self._in_a_row = 0  # failures without a child that was well between them
        self._refused = ""  # why it could not be loaded
        self._started = 0
        self._closed = False
        self._keeper.add(self)

    @property
    def restarts(self) -> int:
        """Return how many children were started in the place of another."""
        return max(0, self._started - self._wanted)

    # ------------------------------------------------------------ the callers' side

    def enter(self) -> bool:
        """Let a call through; return whether it tries for all others.

        Raises:
            OverloadedError: if the breaker is open.
        """
        with self._turn:
            return self._breaker.enter(monotonic(), self.why)

    def succeeded(self) -> None:
        """Note a call that went well."""
        with self._turn:
            self._breaker.succeeded(monotonic())

    def left(self) -> None:
        """Note that a call that tried for all ended without saying anything of the model."""
        with self._turn:
            self._breaker.left()

    def ended(self) -> OverloadedError:
        """Return what a call is told whose child ended."""
        with self._turn:
            now = monotonic()
            wait = max(self._due - now, self._breaker.wait_s(now))
        return OverloadedError(
            f"The model's process ended: {self.why}.",
            retry_after_s=max(1, math.ceil(wait)),
            hint="It is started again. /status of the endpoint says more.",
        )

    def take(self, until: float) -> Spawned:
        """Return a child that is free; give it back, or say that it is lost.

        Raises:
            OverloadedError: if none was free in time, or none may be started yet.
            UnavailableError: if they were ended.
        """
        with self._turn:
            while True:
                now = monotonic()
                if self._closed:
                    raise UnavailableError("The model is not served any more.")
                while self._idle:
                    child = self._idle.pop()
                    self._busy.append(child)
                    return child
                if not self._busy and not self._starting and self._due > now:
                    raise OverloadedError(
                        f"The model's process is being started again: {self.why}.",
                        retry_after_s=max(1, math.ceil(self._due - now)),
                    )
                if now >= until:
                    raise OverloadedError("No process of the model was free in time.")
                self._turn.wait(until - now)

    def give_back(self, child: Spawned) -> None:
        """Let others have a child."""
        with self._turn:
            self._busy.remove(child)
            if not self._closed:
                self._idle.append(child)
            self._turn.notify()

    def lose(self, child: Spawned, why: str) -> None:
        """End a child that failed; another takes its place in its time."""
        with self._turn:
            self._busy.remove(child)
            self._failed(child, child.why or why)
        child.close(why)
        self._keeper.wake()

    def _failed(self, child: Spawned, why: str) -> None:
        """Count a failure and put the next start in its time. The lock is held."""
        now = monotonic()
        if self._closed:
            return
        self.why = why
        well = now - child.since >= WELL_S
        self._in_a_row = 1 if well else self._in_a_row + 1
        wait = 0.0
        if self._in_a_row > 1:
            wait = min(FIRST_BACKOFF_S * 2.0 ** (self._in_a_row - 2), LONGEST_BACKOFF_S)
        opened = self._breaker.failed(now)
        # Not before the breaker lets somebody try.
        self._due = now + max(wait, self._breaker.wait_s(now))
        _log.warning(
            "%s of %s: %s; next start in %.1f s%s",
            *(f"process {child.pid}", self._name, why, self._due - now),
            ", breaker open" if opened else "",
            extra={"child": child.pid, "restarts": self.restarts},
        )
        self._turn.notify_all()

    def wait(self) -> None:
        """Wait for the first child to have loaded the model.

        Raises:
            BadInputError, UnavailableError: if it cannot be loaded; nothing is left running.
        """
        until = monotonic() + self._launch.load_s
        with self._turn:
            while not self._idle and not self._refused and monotonic() < until:
                self._turn.wait(until - monotonic())
            if self._idle:
                return
            why = self._refused or f"it was not loaded within {self._launch.load_s:g} s"
        self.close()
        kind, _, message = why.partition(": ")
        if kind.endswith("Error") and kind in ("BadInputError", "MissingExtraError"):
            raise BadInputError(message, field="model")
        raise UnavailableError(f"The model cannot be loaded in a process of its own: {why}")

    def close(self) -> None:
        """End all children; calls under way fail."""
        why = "it is not served any more"
        with self._turn:
            self._closed = True
            mine = [*self._starting, *self._idle]
            self._starting, self._idle = [], []
            for child in self._busy:
                child.end(why)  # closed by the thread that asks it
            self._turn.notify_all()
        self._keeper.remove(self)
        for child in mine:
            child.close(why)

    def memory_bytes(self) -> int:
        """Return how much memory they hold."""
        with self._turn:
            return sum(child.memory_bytes() for child in (*self._idle, *self._busy))

    def account(self) -> dict[str, Any]:
        """Return how the children are, as ``/status`` shows it."""
        now = monotonic()
        with self._turn:
            there = [*self._idle, *self._busy]
            breaker = self._breaker.state(now)
            state = "up" if there else "starting" if self._starting else "waiting"
            return {
                "state": state if breaker == "closed" else breaker,
                "pids": sorted(child.pid for child in there),
                "busy": len(self._busy),
                "restarts": self.restarts,
                "opened": self._breaker.opened,
                "memory_mb": round(sum(child.memory_bytes() for child in there) / 2**20, 1),
                "retry_in_s": round(max(self._breaker.wait_s(now), self._due - now, 0.0), 1),
                "why": self.why,
            }

    # ------------------------------------------------------------ the keeper's side

    def look(self) -> Sequence[int]:
        """Start what is due, see who is ready, who died, who holds too much; see ``Keeper``."""
        with self._turn:
            if self._closed:
                return ()
            memory_mb = self._limits().memory_mb
            self._see_starting()
            self._see_memory(memory_mb)
            lost = self._see_idle()
        for child in lost:
            child.close()
        self._start_due(memory_mb)
        with self._turn:
            return [child.fileno() for child in self._starting]

    def _see_starting(self) -> None:
        for child in list(self._starting):
            heard = child.heard()
            if heard is None and monotonic() - child.since < self._launch.load_s:
                continue
            self._starting.remove(child)
            if heard == {}:
                self._idle.append(child)
                self._refused = ""
            else:
                told = heard or {"error": "DeadlineError", "message": "loading took too long"}
                self._refused = f"{told['error']}: {told['message']}"
                self._failed(child, f"it could not be loaded: {self._refused}")
                child.close(self.why)
            self._turn.notify_all()

    def _see_idle(self) -> list[Spawned]:
        lost = [child for child in self._idle if child.why or not child.alive()]
        for child in lost:
            self._idle.remove(child)
            self._failed(child, child.ending())
        return lost

    def _see_memory(self, memory_mb: int | None) -> None:
        """End the children that hold too much; who waits for one sees it end."""
        if memory_mb is None:
            return
        for child in (*self._busy, *self._starting, *self._idle):
            if child.memory_bytes() > memory_mb * 2**20:
                child.end(f"it held more than {memory_mb} MB")

    def _start_due(self, memory_mb: int | None) -> None:
        with self._turn:
            there = len(self._starting) + len(self._idle) + len(self._busy)
            missing = self._wanted - there
            if self._closed or missing <= 0 or monotonic() < self._due:
                return
        for _ in range(missing):
            child = Spawned(self._launch, memory_mb)
            if not self._joined(child):
                child.close()
                return

    def _joined(self, child: Spawned) -> bool:
        with self._turn:
            if not self._closed:
                self._started += 1
                self._starting.append(child)
            return not self._closed
