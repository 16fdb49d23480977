"""Rows whose truth is known, with the loss of one version on each: what monitors of labels share.

It also says when a rise of the loss is certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Signature, Window
from mainspring.monitoring.columns import scores_of
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.intervals import block_difference, mean_interval
from mainspring.numerics.quantiles import student_quantile
from mainspring.numerics.scores import row_losses

Floats = npt.NDArray[np.float64]

#: Stretches of time whose means are compared, so that rows that depend on their neighbours do
#: not count as more than they are.
BLOCKS = 30
#: Half as many see dependence that lasts longer, and scatter more: they count where means
#: of stretches vary more than 95 of 100 sets of independent rows would have them.
LONG_BLOCKS = 16
#: The 95 % quantile of chi-square with 15 degrees of freedom, divided by 15.
CERTAIN_EFFECT = 1.67
#: Windows that are too few to say how alike neighbours usually are.
FEW = 3


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Rows that a version scored with finite scores, in order of time, and how it did."""

    frame: pl.DataFrame
    scores: Floats  # (rows, k)
    truth: Floats  # (rows,)
    losses: Floats  # (rows,), each between 0 and 1
    why: str = ""  # why there is no row, if the scores allow no loss

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return int(self.truth.size)


def graded(joined: pl.DataFrame, version: int | None, signature: Signature) -> Graded:
    """Return the labelled rows that a version scored, whether it answered them or stood beside.

    Rows are in order of event time, then of id, whatever order they come in.
    """
    keys = [name for name in ("_time", "_id") if name in joined.columns]
    ordered = joined.sort(keys) if keys else joined
    scores, taken = scores_of(ordered, version)
    return _graded(ordered.filter(pl.Series(taken)), scores, signature)


def graded_reference(reference: pl.DataFrame | None, signature: Signature) -> Graded | None:
    """Return the held-out rows that a version came with, or None where there are none."""
    if reference is None or "_y" not in reference.columns or reference.height == 0:
        return None
    own = reference.with_columns(_version=pl.lit(0, dtype=pl.Int64))
    found = _graded(own.drop("_version"), scores_of(own, 0)[0], signature)
    return found if found.rows else None


def _graded(frame: pl.DataFrame, scores: Floats, signature: Signature) -> Graded:
    truth = np.asarray(frame["_y"].cast(pl.Float64).to_numpy(), dtype=np.float64)
    sound = np.isfinite(scores).all(axis=1) & np.isfinite(truth)
    scores, truth, frame = scores[sound], truth[sound], frame.filter(pl.Series(sound))
    try:
        losses = row_losses(signature.kind, scores, truth, signature.scale)
    except NumericsError as error:
        none = np.empty(0)
        return Graded(frame.head(0), np.empty((0, scores.shape[1])), none, none, str(error))
    return Graded(frame, scores, truth, losses)


def reach(
    values: Floats,
    alpha: float,
    stretches: npt.NDArray[np.int64] | None = None,
    effect: float | None = None,
) -> float:
    """Return how far below its mean the true mean of values may lie, but for a chance of alpha.

    Values come in order of time. Where neighbours are alike it reaches further than for
    independent rows, by the design effect: ``effect`` if it is known from windows before, else
    that of these rows from one stretch of time to the next (so that one step inside of the
    window, which is what is looked for, does not hide itself). ``stretches`` says in which one
    each value lies, where they are a part of the rows only; then fewer stretches, in which
    such rows lie, are less to rely on.

    Raises:
        TooFewError: if there are fewer than two values, or all lie in one stretch.
    """
    confidence = 1 - 2 * alpha
    alone = mean_interval(values, confidence)
    found = alone.estimate - alone.low
    if stretches is not None:
        apart = block_difference(values, stretches, confidence)
        return max(found, apart.estimate - apart.low)
    if effect is not None:
        return found * math.sqrt(effect) if effect > CERTAIN_EFFECT else found
    for blocks in (BLOCKS, LONG_BLOCKS):
        own = step_effect(values, blocks)
        if own > CERTAIN_EFFECT:
            degrees = 2 * (blocks - 1) // 3  # a mean of squared differences has so many
            points = [student_quantile(1 - alpha, n) for n in (degrees, values.size - 1)]
            reached = alone.estimate - alone.low
            found = max(found, reached * math.sqrt(own) * points[0] / points[1])
    return found


def known_effect(earlier: Sequence[Window], version: int | None) -> float | None:
    """Return the mean design effect of a version's losses over judged windows, from 3 of them on.

    Ordinary variation from stretch to stretch and from day to day is in it, and a break only
    for the one window that holds it.
    """
    seen = [
        float(told["effect"])
        for told in (one.performance for one in earlier if one.version == version)
        if told is not None and told.get("effect") is not None
    ]
    return float(np.mean(seen)) if len(seen) >= FEW else None


def design_effect(values: Floats, blocks: int = BLOCKS) -> float:
    """Return how much more the mean of values scatters than over independent rows.

    By the means of stretches of time; about 1 for independent rows, and 1 where there are too
    few rows to say.
    """
    spread = float(values.var()) if values.size >= 4 * blocks else 0.0
    if spread == 0:
        return 1.0
    places = stretches_of(values.size, blocks)
    rows = np.bincount(places, minlength=blocks)
    means = np.bincount(places, weights=values, minlength=blocks) / rows
    return float(means.var(ddof=1)) * values.size / blocks / spread


def step_effect(values: Floats, blocks: int) -> float:
    """Return the design effect as :func:`design_effect`, from one stretch to the next alone.

    Source: von Neumann, Distribution of the ratio of the mean square successive difference to
    the variance, Annals of Mathematical Statistics 12 (1941).
    """
    spread = float(values.var()) if values.size >= 4 * blocks else 0.0
    if spread == 0:
        return 1.0
    places = stretches_of(values.size, blocks)
    rows = np.bincount(places, minlength=blocks)
    means = np.bincount(places, weights=values, minlength=blocks) / rows
    return float((np.diff(means) ** 2).mean()) / 2 * values.size / blocks / spread


def stretches_of(rows: int, blocks: int = BLOCKS) -> npt.NDArray[np.int64]:
    """Return the stretch of time that each of so many rows lies in, from 0 on."""
    return np.asarray(np.arange(rows) * blocks // max(rows, 1), dtype=np.int64)


def rise_reach(
    values: Floats,
    before: Floats | None,
    alpha: float,
    stretches: npt.NDArray[np.int64] | None = None,
    effect: float | None = None,
) -> float:
    """Return how much of mean(values) - mean(before) chance alone explains, at most.

    ``before`` are the held-out losses, None if they were not kept: then the baseline counts as
    exact. ``stretches`` and ``effect`` as in :func:`reach`.

    Raises:
        TooFewError: if there are fewer than two values, or all lie in one stretch.
    """
    mine = reach(values, alpha, stretches, effect)
    if before is None or before.size < 2:
        return mine
    theirs = mean_interval(before, 1 - 2 * alpha)
    return math.hypot(mine, theirs.estimate - theirs.low)
