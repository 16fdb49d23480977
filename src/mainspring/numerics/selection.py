"""Say whether the truth of a row is known because of how it was scored.

A bank learns who pays back only of those it lent to. Labels that exist because of a score are
no sample of all rows, and a model trained on them learns its own decisions back. It shows in
the share of rows whose label is known: it should not depend on the score.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.intervals import CONFIDENCE, Interval, wilson
from mainspring.numerics.scores import midranks

BUCKETS = 10
MATERIAL = 0.05  # label rates further apart than this are worth a word


@dataclass(frozen=True, slots=True)
class Selection:
    """How often a label is known, by score, and what that says of those that are."""

    rates: tuple[Interval, ...]  # of each bucket that has rows, the lowest scores first
    edges: tuple[tuple[float, float], ...]  # lowest and highest score of each
    spread: Interval  # between the two buckets that differ the most
    shaped: Interval  # share of the known labels that the score brought
    depends: bool


def label_selection(
    scores: npt.ArrayLike,
    known: npt.ArrayLike,
    blocks: npt.ArrayLike | None = None,
    *,
    groups: npt.ArrayLike | None = None,
    at_random: float | None = None,
    material: float = MATERIAL,
    confidence: float = CONFIDENCE,
) -> Selection:
    """Return whether labels are known more often at some scores than at others.

    ``scores`` and ``known`` (true where the label is) have shape (rows,). Rows are put into ten
    buckets by the rank of their score within their block (such as a stretch of time), so that
    scores and label rates that both change with time are not taken for each other. ``groups``
    are buckets of the caller's own instead: 0, 1, ...

    ``depends`` is true where two rates differ by more than ``material`` for sure: for all pairs
    at once the chance of a wrong yes is at most ``1 - confidence``. ``shaped`` is the share of
    the known labels that would not be known at the rate of the bucket with the fewest. Where a
    share of rows gets a label whatever the score (``at_random``), that rate is known and used.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError: if the arrays do not have the same rows.
        OutOfRangeError: if a score is missing, or ``at_random`` no share.

    Example:
        >>> found = label_selection([0.1] * 50 + [0.9] * 50, [False] * 50 + [True] * 50)
        >>> found.depends, found.shaped.estimate
        (True, 1.0)

    Source: the difference of two shares by Newcombe, Statistics in Medicine 17 (1998) 873-890,
    method 10, at Bonferroni's level for all pairs; ``shaped`` is the attributable fraction
    (all - unexposed) / all of Levin, Acta Unio Int. Contra Cancrum 9 (1953) 531-541.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    told = np.asarray(known).astype(bool).ravel()
    if values.shape != told.shape:
        raise ShapesDifferError(f"{values.size} scores for {told.size} rows.")
    if values.size == 0:
        raise TooFewError("Whether labels depend on scores needs rows, found none.")
    if np.isnan(values).any():
        raise OutOfRangeError("A missing score has no rank; leave such rows out first.")
    if at_random is not None and not 0 <= at_random <= 1:
        raise OutOfRangeError(f"A share lies in [0, 1], found {at_random}.")
    place = _buckets(values, blocks) if groups is None else np.asarray(groups, dtype=np.int64)
    if place.shape != values.shape:
        raise ShapesDifferError(f"{values.size} scores for {place.size} groups.")
    names = np.unique(place)
    rows = np.array([int((place == one).sum()) for one in names])
    labelled = np.array([int(told[place == one].sum()) for one in names])
    pairs = max(names.size * (names.size - 1) // 2, 1)
    sure = 1 - (1 - confidence) / pairs
    rates = [wilson(int(k), int(n), sure) for k, n in zip(labelled, rows, strict=True)]
    spread = _widest(rates, confidence, values.size)
    shaped = _shaped(rates, int(told.sum()), values.size, at_random, confidence)
    edges = tuple(
        (float(values[place == one].min()), float(values[place == one].max())) for one in names
    )
    shown = tuple(wilson(int(k), int(n), confidence) for k, n in zip(labelled, rows, strict=True))
    return Selection(shown, edges, spread, shaped, spread.low > material)


def _buckets(
    values: npt.NDArray[np.float64], blocks: npt.ArrayLike | None
) -> npt.NDArray[np.int64]:
    names = np.zeros(values.size, dtype=np.int64) if blocks is None else np.asarray(blocks).ravel()
    if names.shape != values.shape:
        raise ShapesDifferError(f"{values.size} scores for {names.size} block names.")
    place = np.zeros(values.size, dtype=np.int64)
    for one in np.unique(names):
        here = names == one
        # Equal scores have one rank, so that they are never parted.
        share = (midranks(values[here]) - 0.5) / int(here.sum())
        place[here] = np.minimum((share * BUCKETS).astype(np.int64), BUCKETS - 1)
    return place


def _widest(rates: list[Interval], confidence: float, rows: int) -> Interval:
    """Return the difference of the two rates whose lower bound is the greatest."""
    best = Interval(0.0, 0.0, 0.0, confidence, rows)
    for high in rates:
        for low in rates:
            gap = high.estimate - low.estimate
            if gap <= 0:
                continue
            down = math.hypot(high.estimate - high.low, low.high - low.estimate)
            up = math.hypot(high.high - high.estimate, low.estimate - low.low)
            if gap - down > best.low or best.estimate == 0.0:
                best = Interval(gap, gap - down, min(gap + up, 1.0), confidence, rows)
    return best


def _shaped(
    rates: list[Interval], labelled: int, rows: int, at_random: float | None, confidence: float
) -> Interval:
    if labelled == 0:
        return Interval(0.0, 0.0, 0.0, confidence, 0)
    least = min(rates, key=lambda one: one.estimate)
    if at_random is not None:
        least = Interval(at_random, at_random, at_random, confidence, rows)

    def share(rate: float) -> float:
        return min(max(1 - rate * rows / labelled, 0.0), 1.0)

    return Interval(
        share(least.estimate), share(least.high), share(least.low), confidence, labelled
    )
