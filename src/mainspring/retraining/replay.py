"""Hold a stream still while policies are tried on it: what is known when, who says what.

A label is known ``delay_s`` after the event time of its row. A model is named by the rows that
it learnt from; it is grown once, however many policies ask for it, and asked once about each
period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind, RetrainingPolicy
from mainspring.numerics.intervals import block_difference
from mainspring.numerics.scores import quality, row_losses
from mainspring.retraining import quick
from mainspring.retraining.assemble import LEAST_TRAINING, cut_of
from mainspring.retraining.contenders import Contender
from mainspring.retraining.outcomes import Happening, PolicyResult
from mainspring.retraining.table import Stream

Floats = npt.NDArray[np.float64]
MOST_ROWS = 50_000
HEADLINE: dict[Kind, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "mae"}

_FIRST_SHARE = 0.2


class Learnt(NamedTuple):
    """Which rows a model learnt from: ``start`` to before ``end``."""

    start: int
    end: int


class Windowed(NamedTuple):
    """The rows ``start`` to before ``stop`` that were served in one window of a period."""

    number: int
    begin: float
    end: float
    start: int
    stop: int


class Split(NamedTuple):
    """What is known at a moment: rows to learn from, and the newest ones to judge by."""

    training: Learnt
    fresh: slice


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
    rolled_back: int = 0
    checked: int = 0
    alarms: dict[str, int] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)

    def note(self, period: int, at: float, what: str, reason: str) -> None:
        """Remember something that the policy did."""
        self.happenings.append(Happening(period=period, at=at, what=what, reason=reason))


class Replay:
    """A stream with its clock, and models by what they learnt from."""

    def __init__(
        self, stream: Stream, first: int, delay_s: float | None = None, windows: int = 1
    ) -> None:
        self.stream = stream
        self.first = first
        self.windows = windows  #: of a monitor, in each period
        self.window_s = stream.length_s / windows
        self.delay_s = self.window_s if delay_s is None else delay_s
        if not 0 <= self.delay_s < stream.length_s * stream.periods:
            raise BadInputError(
                f"The labels cannot be {self.delay_s / 86_400:.3g} days late: the table spans "
                f"{stream.length_s * stream.periods / 86_400:.3g} days.",
                field="delay",
            )
        self.bounds = np.searchsorted(stream.period, np.arange(stream.periods + 1))
        self.first_row = int(self.bounds[first])
        #: One draw a row, the same for all policies: which rows a canary answers.
        self.draws = np.random.default_rng(0).random(stream.rows.height)
        self._models: dict[Learnt, quick.QuickModel] = {}
        self._answers: dict[tuple[Learnt, int], tuple[Floats, Floats]] = {}

    @property
    def served(self) -> range:
        """Return the periods that are served."""
        return range(self.first, self.stream.periods)

    def rows(self, period: int) -> slice:
        """Return where the rows of a period are."""
        return slice(int(self.bounds[period]), int(self.bounds[period + 1]))

    def windowed(self) -> list[Windowed]:
        """Return the windows of all served periods, those without a row left out."""
        found = []
        for period in self.served:
            rows, begin = self.rows(period), float(self.stream.begins[period])
            ends = [begin + self.window_s * (part + 1) for part in range(self.windows)]
            cuts = [rows.start, *(min(self.rows_until(end), rows.stop) for end in ends)]
            cuts[-1] = rows.stop
            for part, (start, stop) in enumerate(pairwise(cuts)):
                if stop > start:
                    number = period * self.windows + part
                    found.append(
                        Windowed(number, ends[part] - self.window_s, ends[part], start, stop)
                    )
        return found

    def rows_until(self, now: float) -> int:
        """Return how many rows, from the oldest on, were served before a moment."""
        # A few ulps early: a row at the very moment a window begins belongs to that window.
        return int(np.searchsorted(self.stream.times, now * (1 - 1e-15), side="left"))

    def known(self, now: float) -> int:
        """Return how many rows, from the oldest on, have a label at a moment."""
        return self.rows_until(now - self.delay_s)

    def at_first(self) -> Learnt:
        """Return what the first version learnt from: all rows before the first served period."""
        return Learnt(max(0, self.first_row - MOST_ROWS), self.first_row)

    def split(self, now: float, policy: RetrainingPolicy) -> Split | None:
        """Return the rows to learn from and the newest labelled ones, None before there are any.

        As the loop does it: the newest ``holdout_s`` of served rows are kept to judge by.
        """
        end, times = self.known(now), self.stream.times
        if end <= self.first_row:
            return None
        cut = cut_of(times[self.first_row : end], policy.holdout_s, floor_rows=False)
        start = self.first_row
        if cut is not None:
            start = max(start, int(np.searchsorted(times, cut, side="right")))
        training = self._within(start, float(times[end - 1]), policy)
        if training.end - training.start < LEAST_TRAINING:
            return None
        return Split(training, slice(start, end))

    def whole(self, now: float, policy: RetrainingPolicy) -> Learnt:
        """Return all rows that are known, for who keeps none to judge by."""
        end = max(self.known(now), self.first_row)
        return self._within(end, float(self.stream.times[end - 1]), policy)

    def _within(self, end: int, last: float, policy: RetrainingPolicy) -> Learnt:
        start = max(0, end - min(policy.max_rows, MOST_ROWS))
        if policy.history_s is not None:
            oldest = last - policy.history_s
            start = max(start, int(np.searchsorted(self.stream.times, oldest, side="right")))
        return Learnt(min(start, end), end)

    def model(self, learnt: Learnt) -> quick.QuickModel:
        """Return the model that learnt from those rows."""
        if learnt not in self._models:
            stream = self.stream
            self._models[learnt] = quick.fit(
                stream.rows[learnt.start : learnt.end],
                stream.target[learnt.start : learnt.end],
                stream.rows.columns,
                stream.kind,
                max(len(stream.classes), 2),
                most=MOST_ROWS,
            )
        return self._models[learnt]

    def answer(self, learnt: Learnt, period: int) -> tuple[Floats, Floats]:
        """Return the scores and the losses of a model on the rows of a period."""
        if (learnt, period) not in self._answers:
            stream, rows = self.stream, self.rows(period)
            scores = self.model(learnt).score(stream.rows[rows])
            losses = row_losses(stream.kind, scores, stream.target[rows], scale=stream.scale)
            self._answers[learnt, period] = scores, losses
        return self._answers[learnt, period]

    def answers(self, learnt: Learnt, rows: slice) -> tuple[Floats, Floats]:
        """Return the scores and the losses of a model on rows, whatever periods they lie in."""
        width = len(self.stream.classes) if self.stream.kind == "multiclass" else 1
        scores, losses = [np.zeros((0, width))], [np.zeros(0)]
        row = rows.start
        while row < rows.stop:
            period = int(self.stream.period[row])
            start, stop = int(self.bounds[period]), int(self.bounds[period + 1])
            part = slice(row - start, min(stop, rows.stop) - start)
            said = self.answer(learnt, period)
            scores.append(said[0][part])
            losses.append(said[1][part])
            row = min(stop, rows.stop)
        return np.concatenate(scores), np.concatenate(losses)

    def start(self) -> Answers:
        """Return a run without answers."""
        rows = self.stream.rows.height
        width = len(self.stream.classes) if self.stream.kind == "multiclass" else 1
        return Answers(losses=np.zeros(rows), scores=np.zeros((rows, width)))

    def result(self, contender: Contender, run: Answers, static: Answers) -> PolicyResult:
        """Return the figures of a run beside those of one that never trains again."""
        served = slice(self.first_row, None)
        by_period = [self._headline(run, self.rows(period)) for period in self.served]
        known = [value for value in by_period if value is not None]
        gained = static.losses[served] - run.losses[served]
        band = block_difference(gained, self.stream.period[served])
        policy = contender.retraining
        cost = run.trained * policy.cost
        worth = band.estimate * gained.size * policy.value_per_loss
        minutes = None if contender.minutes is None else run.trained * contender.minutes
        return PolicyResult(
            policy=contender.name,
            retrainings=run.trained,
            promotions=run.promoted,
            rollbacks=run.rolled_back,
            checks=run.checked,
            alarms=run.alarms,
            quality=by_period,
            mean=float(np.mean(known)) if known else None,
            loss=float(run.losses[served].mean()),
            gain=band.estimate,
            gain_low=band.low,
            gain_high=band.high,
            cost=cost,
            worth=worth,
            net=worth - cost,
            minutes=minutes,
            happenings=run.happenings,
        )

    def _headline(self, run: Answers, rows: slice) -> float | None:
        stream = self.stream
        found = quality(stream.kind, run.scores[rows], stream.target[rows], scale=stream.scale)
        return found.get(HEADLINE[stream.kind])
