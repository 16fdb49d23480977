"""A scorer whose scoring happens in child processes, so that it takes nobody down with it."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import (
    DeadlineError,
    ModelFailedError,
)
from mainspring.ground.objects import EndpointLimits, Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models.apart.spawned import (
    EndedError,
    HungError,
    Launch,
    RaisedError,
    encode,
)
from mainspring.scaling.models.check import Prepared, check
from mainspring.scaling.models.labels import Labels
from mainspring.scaling.serving.scorers.breaker import Breaker
from mainspring.scaling.serving.scorers.children import Children
from mainspring.scaling.serving.scorers.keeper import Keeper, keeper

_log = logging.getLogger(__name__)


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

    Its children are ended with it: when it is closed, or when nobody holds it any more.

    Args:
        digest, signature, form, contract: of the version, as any scorer has them.
        launch: what a child runs and loads.
        limits: asked at each call, so that they may change.
        children: how many there are.
    """

    inline = False  # it waits for another process

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
        self._labels, self._limits = Labels(signature), limits
        self._children = Children(
            launch, limits, children, breaker or Breaker(), kept_by or keeper(), digest[:12]
        )
        # A generation that was replaced lives on in its last request, and nobody says when.
        self._ending = weakref.finalize(self, self._children.close)

    def open(self) -> Isolated:
        """Wait for the first child to have loaded the model, and return the scorer.

        Raises:
            BadInputError, UnavailableError: if it cannot be loaded; nothing is left running.
        """
        self._children.wait()
        return self

    def close(self) -> None:
        """End all children; calls under way fail."""
        self._ending()

    @property
    def held_bytes(self) -> int:
        """Return how much memory its children hold."""
        return self._children.memory_bytes()

    def account(self) -> dict[str, Any]:
        """Return how the children are, as ``/status`` shows it."""
        return self._children.account()

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
        tries = self._children.enter()
        told = False
        try:
            scores = self._scored(head, body, rows.rows, until)
            told = True
            self._children.succeeded()
            return scores
        finally:
            if tries and not told:
                self._children.left()

    def _scored(
        self, head: bytes, body: bytes, rows: int, until: float
    ) -> npt.NDArray[np.float64]:
        for again in (True, False):
            child = self._children.take(until)
            try:
                scores = child.ask(head, body, rows, self._labels.width, until)
            except RaisedError as error:
                self._children.give_back(child)
                _log.warning("%s raised %s\n%s", self.form, error, error.trace)
                raise ModelFailedError(
                    f"The model failed: {error.kind}.", trace=error.trace
                ) from error
            except HungError:
                self._children.lose(
                    child, f"it did not answer within {self._limits().timeout_ms:g} ms"
                )
                raise DeadlineError(
                    f"The model did not answer within {self._limits().timeout_ms:g} ms.",
                    hint="Its process was replaced. Longer: limits.timeout_ms of the endpoint.",
                ) from None
            except EndedError as error:
                self._children.lose(child, error.why)
                if again and not error.began:
                    continue  # nothing was done with the rows yet
                raise self._children.ended() from error
            except BaseException:
                self._children.lose(child, "its caller was ended")
                raise
            self._children.give_back(child)
            return scores
        raise self._children.ended()
