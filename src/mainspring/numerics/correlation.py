"""Say how columns move together, and whether that has changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.dependence import LEAST_BLOCKS, Dependence
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.quantiles import normal_quantile
from mainspring.numerics.scores import midranks

Floats = npt.NDArray[np.float64]

#: The variance of a rank correlation under the arctangent is so much above that of a plain one.
FIELLER = 1.06
#: Beyond it the transformation has no end; no sample that small could tell it from 1.
_MOST = 1 - 1e-9
_LEAST_ROWS = 10
_LEAST_EVENTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """How far every pair of columns moved together before and now; all of shape (pairs,)."""

    first: npt.NDArray[np.int64]  # numbers of the columns of a pair
    second: npt.NDArray[np.int64]
    before: Floats
    now: Floats
    certain: npt.NDArray[np.bool_]  # beyond what chance reaches among all pairs
    reach: Floats  # the smallest change of the correlation that would have been certain
    enough: npt.NDArray[np.bool_]  # whether the pair counts for enough rows to be compared


def rank_correlations(columns: npt.ArrayLike) -> Floats:
    """Return Spearman's rank correlation of every two columns, shape (k, k).

    ``columns`` has shape (rows, k). Ties share their mean rank; a missing value takes the middle
    rank, as if it said nothing, so that every pair rests on all rows. A column without any
    scatter has correlation 0 with every other, and 1 with itself.

    Raises:
        ShapesDifferError: if it is no matrix.
        TooFewError: with fewer than 3 rows.

    Example:
        >>> rank_correlations([[1, 5], [2, 6], [9, 7], [10, 1]]).tolist()[0]
        [1.0, -0.2]

    Source: scipy.stats.spearmanr, for columns without missing values.
    """
    return correlations_of(unit_ranks(columns))


def unit_ranks(columns: npt.ArrayLike) -> Floats:
    """Return the centred ranks of every column, of length 1 (0 without scatter), as (rows, k).

    Raises:
        ShapesDifferError, TooFewError: as :func:`rank_correlations`.
    """
    matrix = np.asarray(columns, dtype=np.float64)
    if matrix.ndim != 2:
        raise ShapesDifferError(f"Columns are a matrix (rows, k), found {matrix.shape}.")
    if matrix.shape[0] < 3:
        raise TooFewError(f"A correlation needs at least 3 rows, found {matrix.shape[0]}.")
    ranks = np.stack([_centred_ranks(column) for column in matrix.T], axis=1)
    lengths = np.sqrt((ranks**2).sum(axis=0))
    return np.asarray(ranks / np.where(lengths > 0, lengths, 1.0))


def correlations_of(ranks: Floats) -> Floats:
    """Return :func:`rank_correlations` of columns whose :func:`unit_ranks` are known."""
    found = np.clip(ranks.T @ ranks, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found.round(12))


def pair_effects(ranks: Floats, chance: float) -> Floats:
    """Return for every pair of columns how many rows count as one in their correlation.

    ``ranks`` are :func:`unit_ranks`, rows in the order of time; the result (k, k) is at least 1.
    The design effect of the products of ranks: of rows that depend on each other, and of pairs
    whose correlation scatters more than that of normal columns (heavy tails in common). As
    :meth:`mainspring.numerics.dependence.Dependence.certain` it is raised by Student's factor,
    for a ``chance`` that may be missed. 1 with fewer rows than two a block. Infinite for a pair
    of columns that are seldom both other than their most common value (a rare category and a
    number that is mostly 0): some ten such rows are all that its correlation rests on.

    Source: as :func:`mainspring.numerics.dependence.design_effects`.
    """
    rows, width = ranks.shape
    worst = np.ones((width, width))
    ranks = ranks * math.sqrt(rows)
    products = ranks.T @ ranks / rows
    spread = (ranks**2).T @ (ranks**2) / rows - products**2
    blocks = LEAST_BLOCKS
    while rows >= 2 * blocks and blocks <= 16 * LEAST_BLOCKS:
        length = rows // blocks
        cut = ranks[: blocks * length].reshape(blocks, length, width)
        means = cut.transpose(0, 2, 1) @ cut / length
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = length * means.var(axis=0, ddof=1) / spread
        found = Dependence({blocks: 1.0}).certain(chance) * effect
        worst = np.fmax(worst, np.where(spread > 1e-12, found, 1.0))
        blocks *= 4
    common = np.array([np.unique(column, return_counts=True)[1].max() for column in ranks.T])
    own = np.sqrt(np.diag(worst))
    events = rows * np.outer((1 - common / rows) / own, (1 - common / rows) / own)
    return np.asarray(np.where(events >= _LEAST_EVENTS, worst, np.inf))


def correlation_changes(
    before: npt.ArrayLike,
    now: npt.ArrayLike,
    n: float,
    m: float,
    alpha: float,
    effects: npt.ArrayLike = 1.0,
) -> Changes:
    """Return every pair of columns, how its rank correlation changed, and if that is certain.

    ``before`` and ``now`` are (k, k) as from :func:`rank_correlations`, from ``n`` and ``m``
    rows, of which ``effects`` (k, k) count as one for each pair. The chance that any pair of
    two samples of one population is certain is about ``alpha``, whatever the number of pairs. A
    pair that counts for fewer than 10 rows is never certain.

    Raises:
        ShapesDifferError: if the two are not of the same columns.
        TooFewError: with fewer than 10 rows on a side; the approximation needs them.
        OutOfRangeError: if alpha is not between 0 and 1.

    Example:
        >>> before, now = [[1, 0.5], [0.5, 1]], [[1, -0.5], [-0.5, 1]]
        >>> flip = correlation_changes(before, now, 900, 900, 0.001)
        >>> flip.certain.tolist(), round(float(flip.reach[0]), 2)
        ([True], 0.13)

    Source: Fisher's transformation with the variance 1.06 / (n - 3) of Fieller, Hartley and
    Pearson, Tests for rank correlation coefficients I, Biometrika 44 (1957); union bound over
    the pairs.
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    if first.shape != second.shape or first.ndim != 2 or first.shape[0] != first.shape[1]:
        raise ShapesDifferError(f"Needed: two matrices of the same columns, found {first.shape}"
                                f" and {second.shape}.")  # fmt: skip
    if n < _LEAST_ROWS or m < _LEAST_ROWS:
        raise TooFewError(f"Correlations are compared from 10 rows on, found {n:g} and {m:g}.")
    if not 0 < alpha < 1:
        raise OutOfRangeError(f"alpha lies between 0 and 1, found {alpha}.")
    rows, columns = np.triu_indices(first.shape[0], 1)
    then, here = first[rows, columns], second[rows, columns]
    pairs = max(rows.size, 1)
    z = normal_quantile(1 - alpha / (2 * pairs))
    each = np.broadcast_to(np.asarray(effects, np.float64), first.shape)[rows, columns]
    n_of, m_of = n / each, m / each
    enough = np.minimum(n_of, m_of) >= _LEAST_ROWS
    freed = [1 / (np.maximum(of, _LEAST_ROWS) - 3) for of in (n_of, m_of)]
    radius = np.where(enough, z * np.sqrt(FIELLER * (freed[0] + freed[1])), np.inf)
    old, new = (np.arctanh(np.clip(side, -_MOST, _MOST)) for side in (then, here))
    # Towards 0 a correlation has more room to move than towards 1: the larger is told.
    reach = np.maximum(np.tanh(old + radius) - then, then - np.tanh(old - radius))
    return Changes(rows, columns, then, here, np.abs(new - old) > radius, reach, enough)


def auc_lower_bound(auc: float, n: int, m: int, chance: float) -> float:
    """Return the AUC that separates two samples at least, missed with ``chance``.

    For the AUC of a classifier, on rows it has not learned from, that tells n rows of one sample
    from m of another; 0.5 means it cannot. The bound is one-sided.

    Raises:
        TooFewError: if a side has no row.

    Example:
        >>> round(auc_lower_bound(0.6, 1000, 1000, 0.001), 3)
        0.56

    Source: the variance of the Mann-Whitney statistic when there is nothing to tell, as in
    Hanley and McNeil, Radiology 143 (1982), which is the widest there is near 0.5.
    """
    if n < 1 or m < 1:
        raise TooFewError(f"An AUC needs rows on both sides, found {n} and {m}.")
    error = math.sqrt((n + m + 1) / (12 * n * m))
    return max(auc - normal_quantile(1 - chance) * error, 0.0)


def _centred_ranks(column: Floats) -> Floats:
    known = ~np.isnan(column)
    ranks = np.zeros(column.size)
    if known.any():
        present = column[known]
        low, high = present.min(), present.max()
        # Of two values the ranks are the values, but for their scale: no need to sort.
        two = bool(((present == low) | (present == high)).all())
        found = np.asarray(present == high, np.float64) if two else midranks(present)
        ranks[known] = found - found.mean()
    return ranks
