"""Say how sure a metric is: an interval around every estimate.

All intervals are two-sided at ``confidence`` and meant for one look at a fixed sample; what is
looked at again and again belongs to :mod:`mainspring.numerics.sequential`. What cannot be
estimated is refused by a named error (one class only, too few rows), never answered with NaN.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)
from mainspring.numerics.quantiles import student_quantile, two_sided_z
from mainspring.numerics.scores import midranks

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
#: Below this many blocks an interval by block says nothing, and rows count on their own.
LEAST_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, the ends between which the truth lies, and what it rests on."""

    estimate: float
    low: float
    high: float
    confidence: float
    n: int  # rows, or blocks where the interval is by block


def wilson(successes: int, rows: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the Wilson score interval of a share, such as an error or missing rate.

    Good for small samples and for shares near 0 and 1, where it never leaves [0, 1].

    Raises:
        TooFewError: if there is no row.
        OutOfRangeError: if successes is not between 0 and rows.

    Example:
        >>> band = wilson(0, 10)
        >>> round(band.low, 3), round(band.high, 3)
        (0.0, 0.278)

    Source: scipy.stats.binomtest(...).proportion_ci(method="wilson"); Wilson, Probable
    inference, JASA 22 (1927).
    """
    if rows < 1:
        raise TooFewError("A share needs at least one row, found none.")
    if not 0 <= successes <= rows:
        raise OutOfRangeError(f"{successes} of {rows} is no share.")
    z = two_sided_z(confidence)
    share = successes / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2) * z / (1 + z * z / rows)
    low = 0.0 if successes == 0 else max(middle - reach, 0.0)
    high = 1.0 if successes == rows else min(middle + reach, 1.0)
    return Interval(share, low, high, confidence, rows)


def hanley_mcneil(
    auc: float, positives: int, negatives: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of an AUC from the two class sizes alone.

    For places that kept the AUC and not the scores; with scores at hand :func:`delong` is
    better. At an AUC of exactly 0 or 1 it has no width.

    Raises:
        OneClassError: if a class has no row.
        OutOfRangeError: if the AUC is not in [0, 1].

    Source: Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 143
    (1982): variance by Q1 = A / (2 - A) and Q2 = 2 A^2 / (1 + A).
    """
    if positives < 1 or negatives < 1:
        raise OneClassError(f"AUC needs both classes, found {positives} and {negatives} rows.")
    if not 0 <= auc <= 1:
        raise OutOfRangeError(f"An AUC lies in [0, 1], found {auc}.")
    square = auc * auc
    variance = (
        auc * (1 - auc)
        + (positives - 1) * (auc / (2 - auc) - square)
        + (negatives - 1) * (2 * square / (1 + auc) - square)
    ) / (positives * negatives)
    reach = two_sided_z(confidence) * math.sqrt(max(variance, 0.0))
    low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
    return Interval(auc, low, high, confidence, positives + negatives)


def mean_interval(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a mean by the central limit theorem (Student's quantile).

    Raises:
        TooFewError: if there are fewer than two rows.

    Example:
        >>> band = mean_interval([1.0, 2.0, 3.0])
        >>> band.estimate, round(band.low, 3)
        (2.0, -0.484)

    Source: scipy.stats.t.interval with the standard error of the mean.
    """
    rows = np.asarray(values, dtype=np.float64).ravel()
    if rows.size < 2:
        raise TooFewError(f"The scatter of a mean needs at least 2 rows, found {rows.size}.")
    error = float(rows.std(ddof=1)) / math.sqrt(rows.size)
    return _student(float(rows.mean()), error, rows.size, confidence)


def paired_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of mean(first - second), both measured on the same rows.

    Raises:
        ShapesDifferError: if the two do not have the same rows.
        TooFewError: if there are fewer than two rows.
    """
    left = np.asarray(first, dtype=np.float64)
    right = np.asarray(second, dtype=np.float64)
    if left.shape != right.shape:
        raise ShapesDifferError(
            f"Paired values need the same rows, found {left.shape} and {right.shape}."
        )
    return mean_interval(left - right, confidence)


def block_difference(
    differences: npt.ArrayLike, blocks: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the mean difference when rows of a block depend on each other.

    ``blocks`` names the block of every row (its day, its customer); blocks are taken to be
    independent, rows within one are not. With every row its own block it is the plain interval.
    Below some ten blocks it is still too narrow. ``n`` of the result counts blocks.

    Raises:
        ShapesDifferError: if there is not one block name a row.
        TooFewError: if there are fewer than two blocks.

    Source: Cameron and Miller, A practitioner's guide to cluster-robust inference, Journal of
    Human Resources 50 (2015): the intercept-only case, factor G / (G - 1), t with G - 1.
    """
    rows = np.asarray(differences, dtype=np.float64).ravel()
    names = np.asarray(blocks).ravel()
    if names.shape != rows.shape:
        raise ShapesDifferError(f"{rows.size} rows need as many block names, found {names.size}.")
    _, at = np.unique(names, return_inverse=True)
    groups = int(at.max()) + 1 if at.size else 0
    if groups < 2:
        raise TooFewError(f"An interval by block needs at least 2 blocks, found {groups}.")
    mean = float(rows.mean())
    sums = np.bincount(at, weights=rows - mean, minlength=groups)
    error = math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / rows.size
    return _student(mean, error, groups, confidence)


def by_block_or_row(
    values: npt.ArrayLike,
    blocks: npt.ArrayLike | None,
    confidence: float = CONFIDENCE,
    least_blocks: int = LEAST_BLOCKS,
) -> tuple[Interval, bool]:
    """Return the interval of a mean, and whether it is by block.

    By block where blocks are given and there are at least ``least_blocks`` of them, else by row.

    Raises:
        as :func:`block_difference` and :func:`mean_interval`.

    Example:
        >>> by_block_or_row([1.0, 2.0, 3.0], [0, 0, 1])[1]
        False
    """
    if blocks is not None and np.unique(np.asarray(blocks)).size >= least_blocks:
        return block_difference(values, blocks, confidence), True
    return mean_interval(values, confidence), False


def delong(
    target: npt.ArrayLike, scores: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return the AUC of scores with its interval, clipped to [0, 1].

    ``target`` is 0 or 1, ``scores`` any number that grows with the chance of 1, both (rows,).

    Raises:
        OneClassError: if a class has no row.
        TooFewError: if a class has fewer than two rows.
        ShapesDifferError: if the two do not have the same rows.

    Source: as :func:`delong_difference`.
    """
    parts = _placements(target, scores)
    variance = sum(float(part.var(ddof=1)) / part.size for part in parts)
    auc = float(parts[0].mean())
    reach = two_sided_z(confidence) * math.sqrt(variance)
    low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
    return Interval(auc, low, high, confidence, parts[0].size + parts[1].size)


def delong_difference(
    target: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of AUC(first) - AUC(second), both scored on the same rows.

    Rows count as independent. Takes O(rows log rows).

    Raises:
        OneClassError: if a class has no row.
        TooFewError: if a class has fewer than two rows.
        ShapesDifferError: if the three do not have the same rows.

    Source: DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated
    ROC curves, Biometrics 44 (1988); by midranks as in Sun and Xu, IEEE Signal Processing
    Letters 21 (2014).
    """
    left, right = _placements(target, first), _placements(target, second)
    gaps = [a - b for a, b in zip(left, right, strict=True)]
    variance = sum(float(gap.var(ddof=1)) / gap.size for gap in gaps)
    difference = float(gaps[0].mean())
    reach = two_sided_z(confidence) * math.sqrt(variance)
    rows = gaps[0].size + gaps[1].size
    return Interval(difference, difference - reach, difference + reach, confidence, rows)


def _placements(target: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Floats, Floats]:
    """For every positive the share of negatives below it, for every negative that above it."""
    values = np.asarray(scores, dtype=np.float64)
    values = values.reshape(values.shape[0])
    positive = np.asarray(target).astype(bool)
    if positive.shape != values.shape:
        raise ShapesDifferError(f"{values.size} scores for targets of shape {positive.shape}.")
    if np.isnan(values).any():
        raise OutOfRangeError("A missing score has no rank; leave missing rows out first.")
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise OneClassError(f"AUC needs both classes; all {m + n} rows are of one.")
    if m < 2 or n < 2:
        raise TooFewError(f"The scatter of an AUC needs 2 rows a class, found {m} and {n}.")
    ranks = midranks(values)
    of_positives = (ranks[positive] - midranks(values[positive])) / n
    of_negatives = 1 - (ranks[~positive] - midranks(values[~positive])) / m
    return of_positives, of_negatives


def _student(mean: float, error: float, n: int, confidence: float) -> Interval:
    reach = student_quantile(0.5 + confidence / 2, n - 1) * error
    return Interval(mean, mean - reach, mean + reach, confidence, n)
