"""Notice drift and a risen loss in the windows of a simulation, as the monitors do.

The same functions judge: distances with their radii and design effects for the inputs and the
score, the bound on the rise of the mean loss for labels. What is counted once serves all
policies; what is learnt from window to window each policy learns on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import ColumnProfile, MonitorPolicy, Window
from mainspring.monitoring.columns import Summary, summarise, summarise_scores
from mainspring.monitoring.graded import design_effect, known_effect, rise_reach
from mainspring.monitoring.seasons import judge_in_season
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.streaks import reckoned, with_score_streaks, with_streaks
from mainspring.numerics.profiles import profile_columns, profile_scores
from mainspring.numerics.relevance import response_shares
from mainspring.retraining.quick import is_text
from mainspring.retraining.replay import Learnt, Replay, Windowed

Floats = npt.NDArray[np.float64]
Subjects = list[tuple[str, str]]

#: Rows that the profile is made of, and that the columns' worth is measured on.
_PROFILED, _PROBED = 20_000, 500
#: Below so many rows the dependence of losses is not told.
_LEAST_EFFECT = 60
_IN_ORDER = np.empty(0, dtype=np.int64)


class Counted:
    """What the windows of a replay hold, counted as each model's training rows were."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        rows = replay.stream.rows
        self._columns = [n for n in rows.columns if _watched(rows[n])]
        self._baselines: dict[Learnt, tuple[list[ColumnProfile], ColumnProfile]] = {}
        self._windows: dict[tuple[Learnt, int], tuple[list[Summary], Summary]] = {}

    def window(self, learnt: Learnt, window: Windowed) -> tuple[list[Summary], Summary]:
        """Return the summaries of a window's columns and of a model's scores on it."""
        if (learnt, window.number) not in self._windows:
            columns, score = self._baseline(learnt)
            frame = self.replay.stream.rows[window.start : window.stop]
            summaries = [
                with_streaks(
                    summarise(frame[one.name], one, None, frame.height),
                    frame[one.name],
                    _IN_ORDER,
                )
                for one in columns
            ]
            scores, _ = self.replay.answers(learnt, slice(window.start, window.stop))
            scored = with_score_streaks(summarise_scores(scores, score), scores, _IN_ORDER)
            self._windows[learnt, window.number] = summaries, scored
        return self._windows[learnt, window.number]

    def _baseline(self, learnt: Learnt) -> tuple[list[ColumnProfile], ColumnProfile]:
        """Return the profile of a model's training rows, with what each column is worth to it."""
        if learnt not in self._baselines:
            start = max(learnt.start, learnt.end - _PROFILED)
            frame = self.replay.stream.rows[start : learnt.end]
            model = self.replay.model(learnt)
            probe = frame.sample(min(_PROBED, frame.height), seed=0)

            def score(places: Mapping[str, Any]) -> Floats:
                # Row numbers are shuffled, so that no value changes its type on the way.
                return model.score(
                    pl.DataFrame({n: probe[n].gather(np.asarray(at)) for n, at in places.items()})
                )

            shares = response_shares(score, {n: np.arange(probe.height) for n in probe.columns})
            columns = {name: frame[name] for name in self._columns}
            scores = profile_scores(model.score(frame))
            self._baselines[learnt] = profile_columns(columns, shares), scores
        return self._baselines[learnt]


class Noticing:
    """The monitors of one simulated loop."""

    def __init__(self, counted: Counted, policy: MonitorPolicy) -> None:
        self._counted = counted
        self.policy = policy
        self._earlier: list[Window] = []  # newest first

    def drift(self, learnt: Learnt, version: int, window: Windowed) -> Subjects:
        """Return what the inputs and scores of a window deserve an alarm for."""
        summaries, scored = self._counted.window(learnt, window)
        named = {one.baseline.name: one for one in summaries} | {"score": scored}
        known = {
            name: reckoned(one.dependence, name, self._earlier, version)
            for name, one in named.items()
        }
        span = (window.begin, window.end)
        rows = judge_in_season(summaries, scored, self.policy, known, span, self._earlier, version)
        self._earlier.insert(
            0,
            Window(
                id=f"w-{window.number}",
                endpoint="simulated",
                start=span[0],
                end=span[1],
                rows=scored.rows,
                version=version,
                drift=rows,
            ),
        )
        return [(row["kind"], row["column"]) for row in rows if row["verdict"] == "alarm"]

    def performance(
        self, version: int, window: Windowed, losses: Floats, held: Floats
    ) -> Subjects:
        """Return whether the loss of a window has surely risen above that of held-out rows."""
        if losses.size < max(self.policy.min_rows, 2) or held.size == 0:
            return []
        effect = known_effect(self._earlier, version)
        chance = alpha_of("performance", self.policy.alpha)
        radius = rise_reach(losses, held, chance, effect=effect)
        self._learn(version, window, losses)
        line = float(held.mean()) + self.policy.loss_tolerance
        return [("performance", "loss")] if float(losses.mean()) - radius > line else []

    def _learn(self, version: int, window: Windowed, losses: Floats) -> None:
        """Keep how alike neighbours of this version were, for the windows after."""
        told = {"effect": design_effect(losses) if losses.size >= _LEAST_EFFECT else 1.0}
        self._earlier = [
            msgspec.structs.replace(one, performance=told)
            if one.id == f"w-{window.number}" and one.version == version
            else one
            for one in self._earlier
        ]


def _watched(values: pl.Series) -> bool:
    return values.dtype.is_numeric() or values.dtype == pl.Boolean or is_text(values)
