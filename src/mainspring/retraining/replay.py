"""Run policies over a stream: who answers which row, knowing only what was known by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Kind, RetrainingPolicy, Rollout, RolloutPolicy, Strategy
from mainspring.numerics.intervals import block_difference
from mainspring.numerics.scores import quality, row_losses
from mainspring.retraining import quick, regret
from mainspring.retraining.challenge import advance, verdict
from mainspring.retraining.table import Stream

Floats = npt.NDArray[np.float64]
MOST_ROWS = 50_000
HEADLINE: dict[Kind, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "mae"}

_FIRST_SHARE = 0.2
_COOLDOWN = 2  # periods between two retrainings of the loop
#: How often within a period newly arrived labels are looked at.
_LOOKS = 32
_MARGIN = 0.001  # of bounded loss: less is no reason to move, either way
_LEAST_PERIODS = 2  # so that a promotion rests on the labels of one whole period
_ROLLOUT_PERIODS = 4
_WATCH_PERIODS = 3


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something a policy did."""

    period: int
    what: str  #: trained, promoted, rolled_back, rejected, reverted
    reason: str


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one policy fared on the periods after the first training."""

    policy: str
    retrainings: int  #: versions trained after the first
    promotions: int
    quality: list[float | None]  #: the headline metric by period; None where it is undefined
    mean: float | None  #: the headline metric, mean over periods
    loss: float  #: mean bounded loss over all rows
    gain: float  #: static loss - this loss, a row
    gain_low: float  #: 95 % interval of the gain, periods being independent
    gain_high: float
    happenings: list[Happening] = []


def first_period(stream: Stream) -> int:
    """Return the first period that is served: those before it are the first training.

    They hold at least a fifth of the rows; five periods are left to serve at the least.
    """
    counts = np.cumsum(np.bincount(stream.period, minlength=stream.periods))
    enough = int(np.searchsorted(counts, _FIRST_SHARE * counts[-1])) + 1
    return max(1, min(enough, stream.periods - 5))


@dataclass
class Answers:
    """What one policy answered, row by row, and what it did."""

    losses: Floats
    scores: Floats
    trained: int = 0
    promoted: int = 0
    happenings: list[Happening] = field(default_factory=list)

    def note(self, period: int, what: str, reason: str) -> None:
        """Remember something that the policy did."""
        self.happenings.append(Happening(period=period, what=what, reason=reason))


class Replay:
    """The stream, and models by the last period they learnt from; each is grown once."""

    def __init__(self, stream: Stream, first: int) -> None:
        self.stream = stream
        self.first = first
        self.length_s = float(np.ptp(stream.times)) / stream.periods
        self.bounds = np.searchsorted(stream.period, np.arange(stream.periods + 1))
        self._models: dict[int, quick.QuickModel] = {}
        self._answers: dict[tuple[int, int], tuple[Floats, Floats]] = {}

    @property
    def served(self) -> range:
        """Return the periods that are served."""
        return range(self.first, self.stream.periods)

    def rows(self, period: int) -> slice:
        """Return where the rows of a period are."""
        return slice(int(self.bounds[period]), int(self.bounds[period + 1]))

    def model(self, last: int) -> quick.QuickModel:
        """Return the model that learnt from all periods up to and with ``last``."""
        if last not in self._models:
            end = int(self.bounds[last + 1])
            start = max(0, end - MOST_ROWS)
            stream = self.stream
            self._models[last] = quick.fit(
                stream.rows[start:end],
                stream.target[start:end],
                stream.rows.columns,
                stream.kind,
                max(len(stream.classes), 2),
                most=MOST_ROWS,
            )
        return self._models[last]

    def answer(self, last: int, period: int) -> tuple[Floats, Floats]:
        """Return the scores and the losses of a model on the rows of a period."""
        if (last, period) not in self._answers:
            stream, rows = self.stream, self.rows(period)
            scores = self.model(last).score(stream.rows[rows])
            losses = row_losses(stream.kind, scores, stream.target[rows], scale=stream.scale)
            self._answers[last, period] = scores, losses
        return self._answers[last, period]

    def start(self) -> Answers:
        """Return a run without answers."""
        rows = self.stream.rows.height
        width = len(self.stream.classes) if self.stream.kind == "multiclass" else 1
        return Answers(losses=np.zeros(rows), scores=np.zeros((rows, width)))

    def result(self, name: str, run: Answers, static: Answers) -> PolicyResult:
        """Return the figures of a run beside those of the static one."""
        served = slice(int(self.bounds[self.first]), None)
        by_period = [self._headline(run, self.rows(period)) for period in self.served]
        known = [value for value in by_period if value is not None]
        gained = static.losses[served] - run.losses[served]
        band = block_difference(gained, self.stream.period[served])
        return PolicyResult(
            policy=name,
            retrainings=run.trained,
            promotions=run.promoted,
            quality=by_period,
            mean=float(np.mean(known)) if known else None,
            loss=float(run.losses[served].mean()),
            gain=band.estimate,
            gain_low=band.low,
            gain_high=band.high,
            happenings=run.happenings,
        )

    def _headline(self, run: Answers, rows: slice) -> float | None:
        stream = self.stream
        found = quality(stream.kind, run.scores[rows], stream.target[rows], scale=stream.scale)
        return found.get(HEADLINE[stream.kind])


def _static(replay: Replay, step: Callable[[float], None]) -> Answers:
    run = replay.start()
    for period in replay.served:
        rows = replay.rows(period)
        run.scores[rows], run.losses[rows] = replay.answer(replay.first - 1, period)
    step(1.0)
    return run


def _periodic(replay: Replay, step: Callable[[float], None]) -> Answers:
    run = replay.start()
    for period in replay.served:
        # Labels of the period before are still on their way.
        last = max(period - 2, replay.first - 1)
        if last >= replay.first:
            run.trained += 1
            run.promoted += 1
        rows = replay.rows(period)
        run.scores[rows], run.losses[rows] = replay.answer(last, period)
        step((period + 1 - replay.first) / len(replay.served))
    return run


def _loop(replay: Replay, step: Callable[[float], None]) -> Answers:
    loop = _Loop(replay)
    for period in replay.served:
        loop.check(period)
        loop.serve(period)
        step((period + 1 - replay.first) / len(replay.served))
    return loop.run


RUNS: dict[str, Callable[[Replay, Callable[[float], None]], Answers]] = {
    "static": _static,
    "periodic": _periodic,
    "loop": _loop,
}


class _Loop:
    """The loop's policy: a champion, at most one rollout, a cool-down."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.run = replay.start()
        self.learnt = [replay.first - 1]  #: the last period that version 1, 2, ... learnt from
        self.champion = 1
        self.rollout: Rollout | None = None
        self.from_row = 0  #: the first row that the rollout's two versions both scored
        self.rested_at = replay.first
        self.policy = RolloutPolicy(
            margin=_MARGIN,
            min_period_s=_LEAST_PERIODS * replay.length_s,
            max_period_s=_ROLLOUT_PERIODS * replay.length_s,
            watch_s=_WATCH_PERIODS * replay.length_s,
        )

    def check(self, period: int) -> None:
        """Before a period: measure regret on the newest labels, and train if that pays."""
        challenging = self.rollout is not None and self.rollout.purpose == "challenge"
        newest, learnt = period - 2, period - 3
        if challenging or period < self.rested_at or newest < self.replay.first:
            return
        if learnt <= self.learnt[self.champion - 1]:
            return  # a fresh challenger would have seen nothing that the champion has not
        rows = self.replay.rows(newest)
        _, fresh = self.replay.answer(learnt, newest)
        if fresh.size < regret.LEAST_FRESH:
            return
        _, old = self.replay.answer(self.learnt[self.champion - 1], newest)
        times = self.replay.stream.times[rows]
        found = regret.compare(old, fresh, times, _RETRAINING, volume=float(fresh.size))
        if not found.pays:
            return
        self.run.trained += 1
        self.run.note(period, "trained", found.reason)
        self.rested_at = period + _COOLDOWN
        self.from_row = self.replay.rows(period).start
        self.learnt.append(learnt)
        self.rollout = self._begin(len(self.learnt), period, "challenge")

    def serve(self, period: int) -> None:
        """Answer a period's rows while the labels of the period before come in."""
        late, rows = self.replay.rows(period - 1), self.replay.rows(period)
        parts = np.linspace(0, 1, _LOOKS + 1)
        labelled = (late.start + (late.stop - late.start) * parts).astype(int)
        answered = (rows.start + (rows.stop - rows.start) * parts).astype(int)
        for look in range(_LOOKS):
            self._answer(period, slice(answered[look], answered[look + 1]))
            come = slice(labelled[look], labelled[look + 1])
            self._arrive(period - 1, come, period + float(parts[look + 1]), answered[look + 1])

    def _answer(self, period: int, part: slice) -> None:
        scores, losses = self.replay.answer(self.learnt[self.champion - 1], period)
        start = self.replay.rows(period).start
        inside = slice(part.start - start, part.stop - start)
        self.run.scores[part], self.run.losses[part] = scores[inside], losses[inside]

    def _losses(self, version: int, period: int, part: slice) -> Floats:
        start = self.replay.rows(period).start
        _, losses = self.replay.answer(self.learnt[version - 1], period)
        return losses[part.start - start : part.stop - start]

    def _begin(
        self, challenger: int, at: float, purpose: Literal["challenge", "watch"]
    ) -> Rollout:
        return Rollout(
            id="simulated",
            endpoint="simulated",
            model="simulated",
            champion=self.champion,
            challenger=challenger,
            strategy=Strategy.SHADOW,
            share=0.0,
            state="running",
            started=at * self.replay.length_s,
            purpose=purpose,
        )

    def _arrive(self, period: int, labels: slice, now: float, row: int) -> None:
        """Take labels of a period into account, known at ``now`` when ``row`` is the next."""
        rollout = self.rollout
        if rollout is None:
            return
        both = slice(max(labels.start, self.from_row), labels.stop)
        if both.stop > both.start:
            champion = self._losses(rollout.champion, period, both)
            challenger = self._losses(rollout.challenger, period, both)
            rollout = self.rollout = advance(rollout, champion, challenger, self.policy)
        found = verdict(rollout, self.policy, now * self.replay.length_s)
        if found is None:
            return
        self.rollout = None
        if rollout.purpose == "watch":
            if found.verdict == "better":
                self.champion = rollout.challenger
                self.run.note(period + 1, "reverted", found.reason)
            return
        if found.verdict == "better":
            self.champion = rollout.challenger
            self.run.promoted += 1
            self.run.note(period + 1, "promoted", found.reason)
            self.from_row = row
            self.rollout = self._begin(rollout.champion, now, "watch")
            return
        what = "rolled_back" if found.verdict == "worse" else "rejected"
        self.run.note(period + 1, what, found.reason)


_RETRAINING = RetrainingPolicy()
