"""A scorer whose scoring happens in child processes, so that it takes nobody down with it."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import (
    BadInputError,
    DeadlineError,
    ModelFailedError,
    OverloadedError,
    UnavailableError,
)
from mainspring.ground.objects import EndpointLimits, Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models.check import Prepared, check
from mainspring.scaling.models.labels import Labels
from mainspring.scaling.serving.scorers.breaker import Breaker
from mainspring.scaling.serving.scorers.keeper import Keeper, keeper
from mainspring.scaling.serving.scorers.spawned import (
    EndedError,
    HungError,
    Launch,
    RaisedError,
    Spawned,
    encode,
)

_log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.25  #: before the second restart in a row; the first is at once
LONGEST_BACKOFF_S = 30.0
WELL_S = 30.0  #: a child that lived so long was well: the next restart is at once again


class Isolated:
    """A version scored by one or several child processes.

    * **A hang** is answered in time (``limits.timeout_ms``) with a DeadlineError; the child is
      killed and replaced.
    * **A crash** is answered with an OverloadedError (come back soon); a request that the child
      had not begun is tried once more by another. Restarts wait longer each time.
    * **Memory**: a child that would hold more than ``limits.memory_mb`` is ended, as a crash.
    * **A breaker** opens after several such failures: then calls are refused at once.

    What the model raises of itself is a ModelFailedError of that request alone. Everything else
    of the process goes on: nothing here waits longer than a call's own deadline.

    Args:
        digest, signature, form, contract: of the version, as any scorer has them.
        launch: what a child runs and loads.
        limits: asked at each call, so that they may change.
        children: how many there are.
    """

    inline = False  # it waits for another process
    held_bytes = 0  # its memory is its children's

    def __init__(
        self,
        digest: str,
        signature: Signature,
        form: str,
        launch: Launch,
        *,
        contract: Contract | None = None,
        limits: Callable[[], EndpointLimits] = EndpointLimits,
        children: int = 1,
        breaker: Breaker | None = None,
        kept_by: Keeper | None = None,
    ) -> None:
        self.digest, self.signature, self.form = digest, signature, form
        names = [column.name for column in signature.columns]
        self.asks = RowChecks(contract or Contract(), names)
        self.why = ""  #: the last failure, in words
        self._labels = Labels(signature)
        self._launch, self._limits, self._wanted = launch, limits, children
        self._breaker = breaker or Breaker()
        self._keeper = kept_by or keeper()
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

    # ------------------------------------------------------------ what a scorer does

    def check(self, columns: Mapping[str, Any]) -> Prepared:
        """Return rows ready to be scored, or raise a BadInputError naming column and row."""
        return check(columns, self.signature)

    def labels(self, scores: npt.NDArray[np.float64]) -> list[Any]:
        """Return what scores say in the target's own words."""
        return self._labels.of(scores)

    def warm(self) -> None:
        """Do nothing: a child loads all there is before it says that it is ready."""

    def score(self, rows: Prepared) -> npt.NDArray[np.float64]:
        """Return scores of shape (rows, k).

        Raises:
            DeadlineError: if they did not come in time.
            OverloadedError: if the child ended, none is there, or the breaker is open.
            ModelFailedError: if the model raised.
        """
        if rows.rows == 0:
            return np.empty((0, self._labels.width))
        until = monotonic() + self._limits().timeout_ms / 1000
        head, body = encode(rows)
        with self._turn:
            tries = self._breaker.enter(monotonic(), self.why)
        told = False
        try:
            scores = self._scored(head, body, rows.rows, until)
            told = True
            with self._turn:
                self._breaker.succeeded(monotonic())
            return scores
        finally:
            if tries and not told:
                with self._turn:
                    self._breaker.left()

    def _scored(
        self, head: bytes, body: bytes, rows: int, until: float
    ) -> npt.NDArray[np.float64]:
        for again in (True, False):
            child = self._take(until)
            try:
                scores = child.ask(head, body, rows, self._labels.width, until)
            except RaisedError as error:
                self._give_back(child)
                _log.warning("%s raised %s\n%s", self.form, error, error.trace)
                raise ModelFailedError(
                    f"The model failed: {error.kind}.", trace=error.trace
                ) from error
            except HungError:
                self._lose(child, f"it did not answer within {self._limits().timeout_ms:g} ms")
                raise DeadlineError(
                    f"The model did not answer within {self._limits().timeout_ms:g} ms.",
                    hint="Its process was replaced. Longer: limits.timeout_ms of the endpoint.",
                ) from None
            except EndedError as error:
                self._lose(child, error.why)
                if again and not error.began:
                    continue  # nothing was done with the rows yet
                raise self._ended() from error
            except BaseException:
                self._lose(child, "its caller was ended")
                raise
            self._give_back(child)
            return scores
        raise self._ended()

    def _ended(self) -> OverloadedError:
        with self._turn:
            wait = max(self._due, monotonic() + self._breaker.wait_s(monotonic())) - monotonic()
        return OverloadedError(
            f"The model's process ended: {self.why}.",
            retry_after_s=max(1, math.ceil(wait)),
            hint="It is started again. /status of the endpoint says more.",
        )

    # ------------------------------------------------------------ children

    @property
    def restarts(self) -> int:
        """Return how many children were started in the place of another."""
        return max(0, self._started - self._wanted)

    def open(self) -> Isolated:
        """Wait for the first child to have loaded the model, and return the scorer.

        Raises:
            BadInputError, UnavailableError: if it cannot be loaded; nothing is left running.
        """
        until = monotonic() + self._launch.load_s
        with self._turn:
            while not self._idle and not self._refused and monotonic() < until:
                self._turn.wait(until - monotonic())
            if self._idle:
                return self
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

    def _take(self, until: float) -> Spawned:
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

    def _give_back(self, child: Spawned) -> None:
        with self._turn:
            self._busy.remove(child)
            if not self._closed:
                self._idle.append(child)
            self._turn.notify()

    def _lose(self, child: Spawned, why: str) -> None:
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
            *(f"process {child.pid}", self.digest[:12], why, self._due - now),
            ", breaker open" if opened else "",
            extra={"child": child.pid, "restarts": self.restarts},
        )
        self._turn.notify_all()

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
