"""What serving asks of a loaded version, whatever form it has and wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models.check import Prepared


class Scorer(Protocol):
    """A loaded version: raw rows in, scores out. Safe to use from several threads.

    ``score`` blocks; ``inline`` says that it is so sure to end that the event loop may wait for it
    where it turns out cheap. All else (code of a user, another process) is called in a thread.
    """

    digest: str
    signature: Signature
    form: str
    asks: RowChecks

    @property
    def inline(self) -> bool:
        """Return whether a few rows may be scored in the event loop."""

    @property
    def held_bytes(self) -> int:
        """Return about how much memory it holds in this process."""

    def check(self, columns: Mapping[str, Any]) -> Prepared:
        """Return rows ready to be scored, or raise a BadInputError naming column and row."""

    def score(self, rows: Prepared) -> npt.NDArray[np.float64]:
        """Return scores of shape (rows, k)."""

    def labels(self, scores: npt.NDArray[np.float64]) -> list[Any]:
        """Return what scores say in the target's own words."""

    def warm(self) -> None:
        """Load now what would otherwise be loaded later."""

    def close(self) -> None:
        """Let go of what it holds; nothing is scored by it any more."""


@runtime_checkable
class Accounted(Protocol):
    """A scorer that has more to tell of itself: one with processes of its own."""

    def account(self) -> dict[str, Any]:
        """Return how it is: state, pids, busy, restarts, opened, memory_mb, retry_in_s, why."""
