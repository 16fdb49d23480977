"""Score rows by the champion, and by its challengers where there are; say who answers which."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Routing, Strategy
from mainspring.scaling.models.check import Prepared
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.pairing import PairCounts, Pairing
from mainspring.scaling.serving.segments import NOBODY
from mainspring.scaling.serving.tallies import Ended, Tallies

Floats = npt.NDArray[np.float64]
#: Of the requests of an arm in an A/B rollout the champion scores one in so many, too, so that
#: there is something to hold its times and scores against.
PROBE = 4


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
    #: of an A/B rollout, in the order of its weights; one that cannot be loaded is None
    arms: tuple[Variant | None, ...] = ()

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
        found = {arm.number: "arm" for arm in self.arms if arm is not None}
        if self.challenger is not None:
            found[self.challenger.number] = "shadow" if shadow else "challenger"
        return found if self.champion is None else {**found, self.champion.number: "champion"}

    def weights(self) -> dict[int, float]:
        """Return the share of rows that each arm of an A/B rollout answers."""
        whole = sum(arm.weight for arm in self.routing.arms)
        return {
            arm.number: told.weight / whole
            for arm, told in zip(self.arms, self.routing.arms, strict=True)
            if arm is not None
        }

    @property
    def loaded(self) -> list[Variant]:
        """Return every version that may be asked, each once."""
        found: dict[int, Variant] = {}
        for variant in (self.champion, self.challenger, *self.arms):
            if variant is not None:
                found.setdefault(variant.number, variant)
        return list(found.values())

    def variant(self, number: int) -> Variant | None:
        """Return the version with that number, if it is loaded."""
        return next((one for one in self.loaded if one.number == number), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of shape (rows, k), who gave them, and what the counterpart would have said."""

    scores: Floats
    labels: list[Any]
    versions: npt.NDArray[np.int64]
    other_scores: Floats | None = None
    other_versions: npt.NDArray[np.int64] | None = None


class _Tried(NamedTuple):
    """What came of asking a version that may fail; ``scores`` None: it did."""

    scores: Floats | None
    seconds: float  #: 0: nobody knows, another request of a batch took the time
    odd: bool = False


class Router:
    """Scores prepared rows by one generation.

    In a running rollout both versions score every row, so that their losses are paired on all
    traffic; the share decides only who answers. In an A/B rollout each row is scored by the one
    version that its weight draws. A row's draw is a hash of its prediction id, of the request's
    sticky key, or of the value of the rollout's sticky column.

    A challenger that fails never fails the request: the champion answers, and the error is
    counted. In a watch the champion before answers for a new champion that fails.
    """

    def __init__(self, counts: Counts, boot: str, tallies: Tallies | None = None) -> None:
        self._counts = counts
        self._boot = boot
        self._tallies = tallies
        self._pairing = Pairing()
        self._probes: dict[int, int] = {}  # arm -> requests so far
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
        if prepared.rows and champion is generation.champion:
            if len(generation.arms) > 1:
                return self._by_weight(generation, champion, prepared, first, sticky)
            if generation.challenger is not None and generation.routing.watch:
                return self._watched(generation.challenger, champion, generation, prepared)
        scores, seconds = self._timed(champion, prepared)
        challenger = generation.challenger
        if challenger is None or challenger is champion or not prepared.rows:
            return self._alone(champion, scores)
        tried = self._challenged(challenger, champion, prepared, scores.shape)
        self._told(challenger, tried)
        self._paired(challenger, tried, scores, seconds, generation)
        if tried.scores is None:
            return self._alone(champion, scores)
        theirs = self._chosen(generation, prepared, first, sticky)
        return self._joined(champion, challenger, scores, tried.scores, theirs)

    # ------------------------------------------------------------ two versions

    def _alone(self, variant: Variant, scores: Floats) -> Answer:
        self._answered(variant, len(scores))
        versions = np.full(len(scores), variant.number, dtype=np.int64)
        return Answer(scores, variant.served.labels(scores), versions)

    def _joined(
        self,
        champion: Variant,
        challenger: Variant,
        scores: Floats,
        other: Floats,
        theirs: npt.NDArray[np.bool_],
    ) -> Answer:
        """Return the answer where both scored; ``theirs`` are the rows the challenger answers."""
        chosen = int(theirs.sum())
        self._answered(champion, len(scores) - chosen)
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

    def _watched(
        self, before: Variant, champion: Variant, generation: Generation, prepared: Prepared
    ) -> Answer:
        """Let the new champion answer, and the one before it where the new one fails."""
        error: Exception | None = None
        scores: Floats | None = None
        seconds = 0.0
        try:
            scores, seconds = self._timed(champion, prepared)
        # Whatever the new champion raises, the one before it may still answer.
        except Exception as raised:  # noqa: BLE001
            error = raised
        tried = self._challenged(before, champion, prepared, None if error else scores.shape)  # type: ignore[union-attr]
        self._told(before, tried)
        if scores is None and tried.scores is None and error is not None:
            raise error
        if tried.scores is None:  # nobody can say whether it is the version or the rows
            return self._alone(champion, scores)  # type: ignore[arg-type]
        standard = _Tried(scores, seconds)
        if scores is not None and not np.isfinite(scores).all():
            standard = _Tried(None, seconds, odd=True)
        if standard.scores is None:
            self.trouble = f"version {champion.number}: {error or 'scores not finite'}"
        self._paired(champion, standard, tried.scores, tried.seconds, generation)
        if standard.scores is None:
            return self._alone(before, tried.scores)
        nobody = np.zeros(len(tried.scores), dtype=np.bool_)
        return self._joined(champion, before, standard.scores, tried.scores, nobody)

    def _paired(
        self, mine: Variant, tried: _Tried, theirs: Floats, seconds: float, now: Generation
    ) -> None:
        """Count how a version did beside the other, which scored the same rows."""
        if self._tallies is None:
            return
        if tried.scores is None:
            counted = self._pairing.failed(odd=tried.odd)
        else:
            counted = PairCounts(tried=1)
            if tried.seconds and seconds:
                counted = self._pairing.times(tried.seconds, seconds, now.routing.slowdown)
            if np.isfinite(theirs).all():
                signature = mine.served.signature
                counted.add(self._pairing.scores(mine.number, tried.scores, theirs, signature))
        self._tallies.pair(mine.number, counted, now.routing.rollout)

    # ------------------------------------------------------------ several versions

    def _by_weight(
        self,
        generation: Generation,
        champion: Variant,
        prepared: Prepared,
        first: int,
        sticky: str | None,
    ) -> Answer:
        """Let each row be answered by the one version that its draw says."""
        draws = self._draws(generation, prepared, first, sticky)
        places = np.searchsorted(_edges(generation.routing), draws, side="right")
        scores: Floats | None = None
        versions = np.full(prepared.rows, champion.number, dtype=np.int64)
        for place in np.unique(places):
            mine = places == place
            arm = generation.arms[int(place)] or champion
            rows = prepared if mine.all() else _picked(prepared, mine)
            found, number = self._arm(arm, champion, rows, generation)
            if scores is None:
                scores = np.empty((prepared.rows, found.shape[1]))
            scores[mine], versions[mine] = found, number
        assert scores is not None  # noqa: S101  there is at least one row
        return Answer(scores, champion.served.labels(scores), versions)

    def _arm(
        self, arm: Variant, champion: Variant, rows: Prepared, generation: Generation
    ) -> tuple[Floats, int]:
        """Return the scores of one arm's rows and who gave them: the champion where it fails."""
        if arm is not champion:
            tried = self._challenged(arm, champion, rows, None)
            self._told(arm, tried)
            self._probes[arm.number] = asked = self._probes.get(arm.number, -1) + 1
            if tried.scores is None or asked % PROBE == 0:
                scores, seconds = self._timed(champion, rows)
                if tried.scores is not None and tried.scores.shape != scores.shape:
                    tried = _Tried(None, tried.seconds, odd=True)
                self._paired(arm, tried, scores, seconds, generation)
            elif self._tallies is not None:
                once = PairCounts(tried=1)
                self._tallies.pair(arm.number, once, generation.routing.rollout)
            if tried.scores is not None:
                self._answered(arm, rows.rows)
                return tried.scores, arm.number
        else:
            scores, _ = self._timed(champion, rows)
        self._answered(champion, rows.rows)
        return scores, champion.number

    # ------------------------------------------------------------ who answers

    def _chosen(
        self, generation: Generation, prepared: Prepared, first: int, sticky: str | None
    ) -> npt.NDArray[np.bool_]:
        """Return for each row whether the challenger answers it."""
        share = generation.share
        if share <= 0.0 or share >= 1.0:
            return np.full(prepared.rows, share >= 1.0)
        draws = self._draws(generation, prepared, first, sticky)
        return np.asarray(draws < np.uint64(int(share * 2**64)), dtype=np.bool_)

    def _draws(
        self, generation: Generation, prepared: Prepared, first: int, sticky: str | None
    ) -> npt.NDArray[np.uint64]:
        """Return a number for each row that is spread evenly over 64 bits."""
        # The rollout is part of the hash, or the same callers would be first every time.
        rollout = generation.routing.rollout or ""
        column = generation.routing.sticky
        if column is not None and column in prepared.columns:
            keys = prepared.columns[column]
            told = keys if isinstance(keys, list) else keys.tolist()
            return np.array([_hash(f"{rollout}/{key}") for key in told], dtype=np.uint64)
        if sticky is not None:
            return np.full(prepared.rows, _hash(f"{rollout}/{sticky}"), dtype=np.uint64)
        start = _hash(f"{rollout}/{self._boot}") + first
        numbers = np.arange(prepared.rows, dtype=np.uint64) + np.uint64(start % 2**64)
        return _mixed(numbers)

    # ------------------------------------------------------------ asking and counting

    def _timed(self, variant: Variant, prepared: Prepared) -> tuple[Floats, float]:
        counts = self._counts.of(variant.number)
        start = perf_counter()
        try:
            scores = variant.served.score(prepared)
        except BaseException:
            counts.errors += 1
            raise
        seconds = perf_counter() - start
        counts.latency.add(seconds)
        counts.scored += prepared.rows
        return scores, 0.0 if getattr(variant.served, "found", False) else seconds

    def _answered(self, variant: Variant, rows: int) -> None:
        if rows:
            counts = self._counts.of(variant.number)
            counts.requests += 1
            counts.rows += rows

    def _told(self, variant: Variant, tried: _Tried) -> None:
        if self._tallies is not None:
            ended: Ended = "failed" if tried.scores is None else "answered"
            self._tallies.add(variant.number, tried.seconds, ended)

    def _challenged(
        self,
        challenger: Variant,
        champion: Variant,
        prepared: Prepared,
        shape: tuple[int, ...] | None,
    ) -> _Tried:
        """Return what a version says that may fail; its scores must have a ``shape``, if given."""
        start = perf_counter()
        try:
            rows = prepared
            if challenger.served.signature != champion.served.signature:
                wanted = {column.name for column in challenger.served.signature.columns}
                known = {n: v for n, v in prepared.columns.items() if n in wanted}
                rows = challenger.served.check(known)
            scores, seconds = self._timed(challenger, rows)
        except MainspringError as error:
            self.trouble = str(error)
            return _Tried(None, perf_counter() - start)
        # Whatever a challenger raises, the champion's answer is already there.
        except Exception as error:  # noqa: BLE001
            self.trouble = f"{type(error).__name__}: {error}"
            return _Tried(None, perf_counter() - start)
        wrong = shape is not None and scores.shape != shape
        if wrong or scores.shape[:1] != (prepared.rows,) or not np.isfinite(scores).all():
            self._counts.of(challenger.number).errors += 1
            self.trouble = f"scores of shape {scores.shape} or not finite, wanted {shape}"
            return _Tried(None, seconds, odd=True)
        return _Tried(scores, seconds)


def _picked(prepared: Prepared, mine: npt.NDArray[np.bool_]) -> Prepared:
    """Return some of the rows."""
    where = np.flatnonzero(mine)
    columns = {
        name: [values[i] for i in where] if isinstance(values, list) else values[where]
        for name, values in prepared.columns.items()
    }
    return Prepared(len(where), columns, prepared.types)


def _edges(routing: Routing) -> npt.NDArray[np.uint64]:
    """Return where one arm's part of the 64-bit numbers ends and the next one's begins."""
    weights = np.array([arm.weight for arm in routing.arms], dtype=np.float64)
    shares = np.cumsum(weights / weights.sum())[:-1]
    return np.array([int(share * 2**64) for share in shares], dtype=np.uint64)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return 64-bit numbers well mixed (splitmix64: Steele, Lea, Flood, OOPSLA 2014, fig. 17)."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


__all__ = ["NOBODY", "Answer", "Generation", "Router", "Variant"]
