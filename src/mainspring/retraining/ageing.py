"""Train at one time, score at later ones: how much a model loses by its age, and what that costs.

An aged model is compared with the youngest there could be *on the same rows*, so that a month
that is hard for every model does not count as age.
"""

from __future__ import annotations

import msgspec
import numpy as np

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S
from mainspring.numerics.errors import TooFewError
from mainspring.numerics.intervals import mean_interval
from mainspring.numerics.staleness import Curve, best_interval, fit
from mainspring.retraining.outcomes import Progress, unheard
from mainspring.retraining.replay import MOST_ROWS, Learnt, Replay, first_period
from mainspring.retraining.table import Stream

#: Models that are trained at the most; where there are more periods, every second or third.
MOST_MODELS = 24
#: An age that fewer periods could be looked at is not told.
LEAST_PERIODS = 3


class Age(msgspec.Struct, frozen=True, kw_only=True):
    """What models of one age lose above the youngest, on the same rows."""

    periods: int  #: the age
    days: float
    rise: float  #: mean bounded loss a row
    low: float  #: 95 % interval, periods being independent
    high: float
    n: int  #: periods that were looked at


class Cadence(msgspec.Struct, frozen=True, kw_only=True):
    """What it costs to retrain every so many periods."""

    periods: int
    rise: float  #: mean loss above the youngest model, over the models' life
    lost: float  #: its worth, a period
    cost: float  #: of retraining, a period
    total: float


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """How fast models age on a history, and which cadence pays."""

    kind: str
    rows: int
    period_s: float
    period_rows: float  #: rows of a period, median
    ages: list[Age]
    rise_per_day: float | None  #: of the line through the curve; None where there are few ages
    rises: bool  #: whether that line goes up for certain (one-sided 95 %)
    tolerance: float
    limit_days: float | None  #: the age at which the line passes the tolerance
    value_per_loss: float
    cost: float
    best_days: float | None  #: by the line: sqrt(2 cost / (volume value slope))
    best_periods: int | None  #: by the table
    cadences: list[Cadence]
    found: str  #: all of it in one sentence
    notices: list[str]


def staleness(
    stream: Stream,
    *,
    tolerance: float = 0.01,
    value_per_loss: float = 1.0,
    cost: float = 0.0,
    progress: Progress | None = None,
) -> Staleness:
    """Return how models that were trained on a stream's past age on its future.

    Every model learns from all rows before a period (the newest 50,000) and is scored on that
    period and all later ones; age 0 is the period right after its training.

    Raises:
        BadInputError: if tolerance, value or cost cannot be.
    """
    for name, given in (("tolerance", tolerance), ("value", value_per_loss), ("cost", cost)):
        if not 0 <= given < float("inf"):
            raise BadInputError(f"{name} must be 0 or more, found {given}.", field=name)
    replay = Replay(stream, first_period(stream))
    losses = _losses(replay, progress or unheard)
    ages = _ages(losses, stream.length_s / DAY_S)
    curve = _curve(ages)
    volume = float(np.median(np.diff(replay.bounds)))
    per_day = None if curve is None else curve.slope
    rises = curve is not None and curve.rises(0.05)
    limit = curve.reaches(tolerance) if curve is not None and rises else None
    days = stream.length_s / DAY_S
    best = None
    if per_day is not None and rises:
        best = best_interval(per_day, volume / days, value_per_loss, cost)
    table = _cadences(ages, volume, value_per_loss, cost)
    pays = min(table, key=lambda one: (one.total, one.periods)).periods if table else None
    return Staleness(
        kind=stream.kind,
        rows=stream.rows.height,
        period_s=stream.length_s,
        period_rows=volume,
        ages=ages,
        rise_per_day=per_day,
        rises=rises,
        tolerance=tolerance,
        limit_days=limit,
        value_per_loss=value_per_loss,
        cost=cost,
        best_days=best,
        best_periods=pays,
        cadences=table,
        found=_sentence(ages, per_day, rises, limit, tolerance),
        notices=[*stream.notices, "The models are small trees, not yours: levels differ."],
    )


def _losses(replay: Replay, tell: Progress) -> dict[int, dict[int, float]]:
    """Return the mean loss by period, and in it by the age of the model in periods."""
    served = list(replay.served)
    step = -(-len(served) // MOST_MODELS)
    births = served[::step]
    found: dict[int, dict[int, float]] = {}
    for place, born in enumerate(births):
        tell(place / len(births), f"training as of {replay.stream.starts[born]}")
        end = int(replay.bounds[born])
        learnt = Learnt(max(0, end - MOST_ROWS), end)
        # Only periods that a model was born right before have a youngest one to compare with.
        for period in births[place:]:
            _, losses = replay.answer(learnt, period)
            found.setdefault(period, {})[period - born] = float(losses.mean())
    tell(1.0, "done")
    return found


def _ages(losses: dict[int, dict[int, float]], days: float) -> list[Age]:
    rises: dict[int, list[float]] = {}
    for by_age in losses.values():
        for age, loss in by_age.items():
            rises.setdefault(age, []).append(loss - by_age[0])
    ages = []
    for age, seen in sorted(rises.items()):
        if len(seen) < LEAST_PERIODS:
            continue
        band = mean_interval(seen)
        ages.append(
            Age(
                periods=age,
                days=age * days,
                rise=band.estimate,
                low=band.low,
                high=band.high,
                n=len(seen),
            )
        )
    return ages


def _curve(ages: list[Age]) -> Curve | None:
    try:
        return fit([a.days for a in ages], [a.rise for a in ages], [float(a.n) for a in ages])
    except TooFewError:
        return None


def _cadences(ages: list[Age], volume: float, value: float, cost: float) -> list[Cadence]:
    """Return what each cadence costs; ages between two that were looked at lie on a line."""
    if not ages:
        return []
    known = [age.periods for age in ages]
    rise = np.interp(np.arange(known[-1] + 1), known, [age.rise for age in ages])
    found = []
    for every in range(1, known[-1] + 2):
        mean = float(rise[:every].mean())
        lost, paid = mean * volume * value, cost / every
        found.append(Cadence(periods=every, rise=mean, lost=lost, cost=paid, total=lost + paid))
    return found


def _sentence(
    ages: list[Age], per_day: float | None, rises: bool, limit: float | None, tolerance: float
) -> str:
    if per_day is None or not ages:
        return "There are too few periods to say how models age here."
    oldest = ages[-1]
    told = (
        f"At {oldest.days:.3g} days a model loses {oldest.rise:.4f} a row more than a young one "
        f"({oldest.low:+.4f} to {oldest.high:+.4f}, {oldest.n} periods)"
    )
    if not rises:
        return f"{told}; that age makes models worse is not shown."
    told += f", {per_day:.2g} a day"
    if limit is None:
        return f"{told}."
    return f"{told}; {tolerance:g} is passed at {limit:.3g} days."
