"""Say how good the order of answers is, query by query: NDCG, MAP, reciprocal rank, precision.

A row is an answer to a query: the query's name, the score it was ranked by, and its relevance
(0 is none; more is better). Of equal scores the less relevant count as ranked first, so that a
model gains nothing by ties and no figure depends on the order of rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The measures of every query that has an answer of some relevance, shape (queries,)."""

    ndcg: Floats  # at k
    average_precision: Floats
    reciprocal_rank: Floats
    precision: Floats  # at k
    queries: int  # measured
    empty: int  # queries without any relevant answer: no order of them is better or worse
    rows: int  # of the measured queries


def ranking(
    queries: npt.ArrayLike, scores: npt.ArrayLike, relevance: npt.ArrayLike, k: int = 10
) -> Ranked:
    """Return the measures of every query.

    All three have shape (rows,); relevance is 0 or above. Every measure lies between 0 and 1, 1
    being best, but precision at k, which can reach only relevant / k. A query of fewer than k
    answers is measured on those it has, precision included by dividing by k all the same.

    * **NDCG at k**: sum of relevance / log2(rank + 1) over the first k, divided by the same sum
      in the best order. Gains are linear.
    * **Average precision**: the mean, over relevant answers, of the precision at their rank;
      its mean over queries is MAP. **Reciprocal rank**: 1 / rank of the first relevant one; its
      mean is MRR. Both, and precision at k, take any relevance above 0 as relevant.

    Raises:
        ShapesDifferError: if the three do not have the same rows.
        OutOfRangeError: if k is below 1, a score is missing or a relevance below 0.
        TooFewError: if no query has a relevant answer.

    Example:
        >>> found = ranking(["a", "a", "a"], [0.9, 0.5, 0.1], [0, 1, 1], k=2)
        >>> found.ndcg.round(3).tolist(), found.reciprocal_rank.tolist(), found.precision.tolist()
        ([0.387], [0.5], [0.5])

    Source: Jarvelin and Kekalainen, Cumulated gain-based evaluation of IR techniques, ACM TOIS
    20 (2002), with the discount of sklearn.metrics.ndcg_score; Manning, Raghavan and Schuetze,
    Introduction to Information Retrieval (2008), 8.4.
    """
    names, values, gains = _rows(queries, scores, relevance, k)
    order = np.lexsort((gains, -values, names))
    names, gains = names[order], gains[order]
    first, sizes = _groups(names)
    rank = np.arange(names.size) - np.repeat(first, sizes)  # from 0 on
    relevant = (gains > 0).astype(np.float64)
    found = np.add.reduceat(relevant, first)
    if not (found > 0).any():
        raise TooFewError("A ranking needs a query with a relevant answer, found none.")
    best = gains[np.lexsort((-gains, names))]
    shown = rank < k
    discount = np.where(shown, 1 / np.log2(rank + 2), 0.0)
    ideal = np.add.reduceat(best * discount, first)
    hits = np.cumsum(relevant)
    within = hits - np.repeat(hits[first] - relevant[first], sizes)
    mine = found > 0
    leading = np.minimum.reduceat(np.where(relevant > 0, rank, names.size), first)
    counted = np.where(mine, found, 1.0)
    return Ranked(
        ndcg=(np.add.reduceat(gains * discount, first) / np.where(mine, ideal, 1.0))[mine],
        average_precision=(np.add.reduceat(relevant * within / (rank + 1), first) / counted)[mine],
        reciprocal_rank=(1 / (leading + 1))[mine],
        precision=(np.add.reduceat(relevant * shown, first) / k)[mine],
        queries=int(mine.sum()),
        empty=int((~mine).sum()),
        rows=int(sizes[mine].sum()),
    )


def _groups(names: Ints) -> tuple[Ints, Ints]:
    """Return where each query's rows begin, and how many they are; names are sorted."""
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    return first, np.diff(np.r_[first, names.size])


def _rows(
    queries: npt.ArrayLike, scores: npt.ArrayLike, relevance: npt.ArrayLike, k: int
) -> tuple[Ints, Floats, Floats]:
    values = np.asarray(scores, dtype=np.float64).ravel()
    gains = np.asarray(relevance, dtype=np.float64).ravel()
    _, names = np.unique(np.asarray(queries).ravel(), return_inverse=True)
    if not names.size == values.size == gains.size:
        raise ShapesDifferError(
            f"{names.size} queries, {values.size} scores and {gains.size} relevances:"
            " each row has one of each."
        )
    if k < 1:
        raise OutOfRangeError(f"k is at least 1, found {k}.")
    if values.size == 0:
        raise TooFewError("A ranking needs at least one answer, found none.")
    if np.isnan(values).any() or not (np.isfinite(gains).all() and gains.min() >= 0):
        raise OutOfRangeError("Scores must not be missing and relevance must be 0 or above.")
    return names.astype(np.int64), values, gains
