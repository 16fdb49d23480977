"""Replay a table as if it were live, and say what retraining would have been worth.

Three policies meet the same rows on a turned clock. *Static* trains once, on the first fifth.
*Periodic* trains before every period on all labels there are. *Loop* measures regret every
period, trains when that pays, lets the new version meet traffic beside the champion and
promotes it only on evidence, watches the champion before it, and rests for a cool-down.

Labels arrive one period late: what may be known when is kept to strictly. The loop here is not
:mod:`mainspring.loop`, which stands above this room, but is made of the same parts
(:func:`regret.compare` and :mod:`challenge`); its gate is the regret check, whose lower bound
above 0 says more than the gate asks. All policies use the same quick trees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind
from mainspring.numerics.scores import HIGHER_IS_BETTER
from mainspring.retraining.replay import (
    HEADLINE,
    RUNS,
    Answers,
    PolicyResult,
    Replay,
    first_period,
)
from mainspring.retraining.table import prepare

Progress = Callable[[float, str], None]
POLICIES = tuple(RUNS)


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the replay: the figures for a table and the lines for a plot."""

    kind: str
    metric: str
    higher_is_better: bool
    rows: int
    dropped: int
    columns: list[str]
    trained_on: int  #: rows of the first training
    periods: list[str]  #: the start of every period after it
    period_rows: list[int]
    policies: list[PolicyResult]
    notices: list[str]

    def records(self) -> list[dict[str, Any]]:
        """Return one row a policy, for a table."""
        return [
            {
                "policy": found.policy,
                self.metric: found.mean,
                "loss": found.loss,
                "gain over static": found.gain,
                "low": found.gain_low,
                "high": found.gain_high,
                "retrainings": found.retrainings,
                "promotions": found.promotions,
            }
            for found in self.policies
        ]

    def plot(self) -> dict[str, list[float | None]]:
        """Return the headline metric by period, one line a policy."""
        return {found.policy: found.quality for found in self.policies}

    @property
    def sentence(self) -> str:
        """Return what follows, in one sentence."""
        by_name = {found.policy: found for found in self.policies}
        loop, every = by_name.get("loop"), by_name.get("periodic")
        if loop is None:
            return f"{len(self.policies)} policies met {self.rows} rows."
        if loop.gain_low > 0:
            told = (
                f"The loop would have lost {loop.gain:.4f} less a row than a model never trained "
                f"again (95 % interval {loop.gain_low:.4f} to {loop.gain_high:.4f}), with "
                f"{_times(loop.retrainings, 'retraining')}"
            )
        else:
            told = (
                "On this table retraining is not shown to help: the loop's gain over a model "
                f"never trained again is {loop.gain:+.4f} a row (95 % interval "
                f"{loop.gain_low:+.4f} to {loop.gain_high:+.4f}), with "
                f"{_times(loop.retrainings, 'retraining')}"
            )
        if every is None:
            return told + "."
        return f"{told}; training every period gains {every.gain:+.4f} with {every.retrainings}."


def simulate(
    frame: pl.DataFrame,
    target: str,
    time: str | None = None,
    kind: Kind | None = None,
    policies: Sequence[str] = POLICIES,
    period_s: float | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Replay a table through policies and return how each of them fared.

    ``time`` names the column of event time; without one the order of the rows is time.
    ``kind`` and ``period_s`` are found from the data if they are not given. ``progress`` is
    told the share done, 0 to 1, and what is being done.

    Raises:
        BadInputError: if the table cannot be replayed, or a policy is not known.
    """
    for name in policies:
        if name not in POLICIES:
            raise BadInputError(
                f"There is no policy {name!r}; known: {', '.join(POLICIES)}.", field="policies"
            )
    tell = progress or _silent
    tell(0.0, "reading the table")
    stream = prepare(frame, target, time, kind, period_s)
    replay = Replay(stream, first_period(stream))
    wanted = ["static", *(name for name in policies if name != "static")]
    runs: dict[str, Answers] = {}
    for place, name in enumerate(wanted):

        def step(share: float, place: int = place, name: str = name) -> None:
            tell((place + share) / len(wanted), f"replaying {name}")

        runs[name] = RUNS[name](replay, step)
    tell(1.0, "done")
    metric = HEADLINE[stream.kind]
    return Simulation(
        kind=stream.kind,
        metric=metric,
        higher_is_better=HIGHER_IS_BETTER[metric],
        rows=stream.rows.height,
        dropped=stream.dropped,
        columns=stream.rows.columns,
        trained_on=int(replay.bounds[replay.first]),
        periods=stream.starts[replay.first :],
        period_rows=np.diff(replay.bounds[replay.first :]).tolist(),
        policies=[replay.result(name, runs[name], runs["static"]) for name in policies],
        notices=[*stream.notices, _METHOD],
    )


_METHOD = (
    "All policies use the same small trees on at most 50,000 rows; labels arrive one period late; "
    "rows of a rollout count with the champion's answer."
)


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _silent(share: float, what: str) -> None:
    """Tell nobody."""
