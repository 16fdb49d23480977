"""Score rows by the champion, and by its challenger where there is one; say who answers which."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Routing, Strategy
from mainspring.scaling.models.check import Prepared
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.segments import NOBODY
from mainspring.scaling.serving.tallies import Ended, Tallies

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """One loaded version."""

    number: int
    served: Scorer


@dataclass(frozen=True, slots=True)
class Generation:
    """What is served at one moment. Requests keep the one they began with."""

    serial: int
    routing: Routing
    champion: Variant | None
    challenger: Variant | None

    @property
    def share(self) -> float:
        """Return the share of rows the challenger answers, 0 to 1."""
        if self.challenger is None or self.routing.strategy is Strategy.SHADOW:
            return 0.0
        if self.routing.strategy is Strategy.BLUE_GREEN:
            return 1.0
        return self.routing.share

    def parts(self) -> dict[int, str]:
        """Return which part each loaded version has in the traffic."""
        shadow = self.routing.strategy is Strategy.SHADOW
        found = (
            {}
            if self.challenger is None
            else {self.challenger.number: "shadow" if shadow else "challenger"}
        )
        return found if self.champion is None else {**found, self.champion.number: "champion"}

    def variant(self, number: int) -> Variant | None:
        """Return the version with that number, if it is loaded."""
        both = (self.champion, self.challenger)
        return next((v for v in both if v is not None and v.number == number), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of shape (rows, k), who gave them, and what the counterpart would have said."""

    scores: Floats
    labels: list[Any]
    versions: npt.NDArray[np.int64]
    other_scores: Floats | None = None
    other_versions: npt.NDArray[np.int64] | None = None


class Router:
    """Scores prepared rows by one generation.

    In a running rollout both versions score every row, so that their losses are paired on all
    traffic; the share decides only who answers. A row's share is drawn from a hash of its
    prediction id, or of the request's sticky key. A challenger that fails never fails the
    request: the champion answers, and the error is counted.
    """

    def __init__(self, counts: Counts, boot: str, tallies: Tallies | None = None) -> None:
        self._counts = counts
        self._boot = boot
        self._tallies = tallies
        self.trouble = ""  #: the challenger's last error

    def answer(
        self,
        generation: Generation,
        champion: Variant,
        prepared: Prepared,
        first: int,
        sticky: str | None = None,
    ) -> Answer:
        """Return the scores of rows that passed ``champion``'s check; ``first`` numbers them."""
        scores = self._timed(champion, prepared)
        versions = np.full(prepared.rows, champion.number, dtype=np.int64)
        challenger = generation.challenger
        other = None
        if challenger is not None and challenger is not champion and prepared.rows:
            start = perf_counter()
            other = self._challenged(challenger, champion, prepared, scores.shape)
            if self._tallies is not None:
                ended: Ended = "failed" if other is None else "answered"
                self._tallies.add(challenger.number, perf_counter() - start, ended)
        if other is None or challenger is None:
            self._answered(champion, prepared.rows)
            return Answer(scores, champion.served.labels(scores), versions)
        theirs = self._chosen(generation, first, sticky, prepared.rows)
        chosen = int(theirs.sum())
        self._answered(champion, prepared.rows - chosen)
        self._answered(challenger, chosen)
        mine = theirs[:, None]
        shown = np.where(mine, other, scores)
        return Answer(
            scores=shown,
            labels=champion.served.labels(shown),
            versions=np.where(theirs, challenger.number, champion.number),
            other_scores=np.where(mine, scores, other),
            other_versions=np.where(theirs, champion.number, challenger.number),
        )

    def _chosen(
        self, generation: Generation, first: int, sticky: str | None, rows: int
    ) -> npt.NDArray[np.bool_]:
        """Return for each row whether the challenger answers it."""
        share = generation.share
        if share <= 0.0 or share >= 1.0:
            return np.full(rows, share >= 1.0)
        line = int(share * 2**64)
        # The rollout is part of the hash, or the same callers would be first every time.
        rollout = generation.routing.rollout or ""
        if sticky is not None:
            return np.full(rows, _hash(f"{rollout}/{sticky}") < line)
        start = _hash(f"{rollout}/{self._boot}") + first
        numbers = np.arange(rows, dtype=np.uint64) + np.uint64(start % 2**64)
        return np.asarray(_mixed(numbers) < np.uint64(line), dtype=np.bool_)

    def _timed(self, variant: Variant, prepared: Prepared) -> Floats:
        counts = self._counts.of(variant.number)
        start = perf_counter()
        try:
            scores = variant.served.score(prepared)
        except BaseException:
            counts.errors += 1
            raise
        counts.latency.add(perf_counter() - start)
        counts.scored += prepared.rows
        return scores

    def _answered(self, variant: Variant, rows: int) -> None:
        if rows:
            counts = self._counts.of(variant.number)
            counts.requests += 1
            counts.rows += rows

    def _challenged(
        self,
        challenger: Variant,
        champion: Variant,
        prepared: Prepared,
        shape: tuple[int, ...],
    ) -> Floats | None:
        try:
            rows = prepared
            if challenger.served.signature != champion.served.signature:
                wanted = {column.name for column in challenger.served.signature.columns}
                known = {n: v for n, v in prepared.columns.items() if n in wanted}
                rows = challenger.served.check(known)
            scores = self._timed(challenger, rows)
        except MainspringError as error:
            self.trouble = str(error)
            return None
        # Whatever a challenger raises, the champion's answer is already there.
        except Exception as error:  # noqa: BLE001
            self.trouble = f"{type(error).__name__}: {error}"
            return None
        if scores.shape != shape or not np.isfinite(scores).all():
            self._counts.of(challenger.number).errors += 1
            self.trouble = f"scores of shape {scores.shape} or not finite, wanted {shape}"
            return None
        return scores


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return 64-bit numbers well mixed (splitmix64: Steele, Lea, Flood, OOPSLA 2014, fig. 17)."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


__all__ = ["NOBODY", "Answer", "Generation", "Router", "Variant"]
