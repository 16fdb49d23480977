"""Say how far two samples are apart, and how far they must be before it is certain.

A distance is compared with a *radius*: under no drift, the chance that any of the K things
looked at in a window lies beyond its radius is at most ``alpha``, however many columns there
are. The radius says what is certain; whether it matters is a matter of size and relevance.

Counts are compared over the same cells (see :mod:`mainspring.numerics.histograms`) or over the
same categories. Radii assume that rows are exchangeable under no drift; rows that depend on
each other (an hour, a customer) count for fewer than they are: give the effective number of rows
then (see :mod:`mainspring.numerics.dependence`), which need not be whole.
"""

import math

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import BinsDifferError, OutOfRangeError, TooFewError

Floats = npt.NDArray[np.float64]
ALPHA = 0.001  # one false alarm in a thousand windows of a model


def ks_from_samples(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the largest gap between two cumulative distributions (Kolmogorov-Smirnov).

    Between 0 and 1, symmetric, 0 for equal samples; ties are handled. Missing values are left
    out.

    Raises:
        TooFewError: if a side has no value.

    Example:
        >>> ks_from_samples([1, 2, 3, 4], [3, 4, 5, 6])
        0.5

    Source: scipy.stats.ks_2samp, of which this is the statistic.
    """
    first, second = _present(reference), _present(current)
    at = np.concatenate((first, second))
    gaps = np.searchsorted(first, at, side="right") / first.size
    gaps -= np.searchsorted(second, at, side="right") / second.size
    return float(np.abs(gaps).max())


def ks_from_counts(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the largest gap between two cumulative distributions at the common edges.

    Never more than the distance of the samples; ``histograms.ks_error_bound`` says how much
    less it can be.

    Raises:
        BinsDifferError: if the two do not have the same number of cells.
        TooFewError: if a side counts nothing.

    Example:
        >>> ks_from_counts([1, 1, 2], [2, 1, 1])
        0.25
    """
    first, second = _shares(reference, current)
    return float(np.abs(np.cumsum(first - second)).max())


def total_variation(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return half the summed gap between the shares of categories.

    Between 0 and 1, symmetric: the share of rows that would have to change category. Samples
    of the same population are apart by :func:`total_variation_bias` on average.

    Raises:
        BinsDifferError: if the two do not have the same categories.
        TooFewError: if a side counts nothing.

    Example:
        >>> total_variation([4, 4], [6, 2])
        0.25
    """
    first, second = _shares(reference, current)
    return float(np.abs(first - second).sum()) / 2


def total_variation_bias(shares: npt.ArrayLike, n: float, m: float) -> float:
    """Return the total variation to expect between samples of n and m rows without any drift.

    ``shares`` are those of the categories in the reference and sum to 1. It grows with the
    number of categories: compare with :func:`category_radius`, which contains it.

    Source: mean absolute value of a normal variable, sqrt(2/pi) sd, for each difference of
    two shares with variance p (1 - p) (1/n + 1/m).
    """
    _check_rows(n, m)
    p = np.asarray(shares, dtype=np.float64)
    return 0.5 * float(np.sqrt(2 / math.pi * p * (1 - p) * (1 / n + 1 / m)).sum())


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return how far two histograms are apart (population stability index).

    Both hold counts over the same cells, best about ten equal shares of the reference. In nats,
    0 for equal shares, symmetric, without an upper end. Empty cells count as half an
    observation, or the sum would be infinite. Meant to be shown beside :func:`psi_bias`: the
    usual lines at 0.1 and 0.2 take no account of the number of rows.

    Raises:
        BinsDifferError: if the two do not have the same number of cells.
        TooFewError: if a side counts nothing.

    Example:
        >>> round(psi([50, 50], [60, 40]), 4)
        0.0405
    """
    first, second = _counts(reference, current)
    keep = first + second > 0
    p = np.where(first > 0, first, 0.5)[keep] / first.sum()
    q = np.where(second > 0, second, 0.5)[keep] / second.sum()
    return float(((q - p) * np.log(q / p)).sum())


def psi_bias(cells: int, n: float, m: float) -> float:
    """Return the PSI to expect between samples of n and m rows without any drift.

    Source: 2nd-order expansion of the sum at p = q; tested by simulation.
    """
    _check_rows(n, m)
    return (cells - 1) * (1 / n + 1 / m)


def jensen_shannon(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Jensen-Shannon distance between two histograms over the same cells.

    The root of the divergence in nats: between 0 and sqrt(ln 2) = 0.833, symmetric. With many
    cells and few rows it is well above 0 without any drift.

    Raises:
        BinsDifferError: if the two do not have the same number of cells.
        TooFewError: if a side counts nothing.

    Example:
        >>> round(jensen_shannon([1, 0], [0, 1]), 4)
        0.8326

    Source: scipy.spatial.distance.jensenshannon, natural logarithm.
    """
    first, second = _shares(reference, current)
    middle = (first + second) / 2
    divergence = 0.5 * (_relative_entropy(first, middle) + _relative_entropy(second, middle))
    return math.sqrt(max(divergence, 0.0))


def wasserstein(
    reference: npt.ArrayLike, current: npt.ArrayLike, scale: float | None = None
) -> float:
    """Return how far values moved on average, in units of the reference's spread.

    The area between the two cumulative distributions over ``scale``, which is the standard
    deviation of the reference unless given. Symmetric for a given scale; one extreme value can
    move it much. Missing values are left out. A reference without spread counts as spread 1.

    Raises:
        TooFewError: if a side has no value.

    Example:
        >>> wasserstein([0.0, 1.0, 3.0], [5.0, 6.0, 8.0], scale=1.0)
        5.0

    Source: scipy.stats.wasserstein_distance, divided by the scale.
    """
    first, second = _present(reference), _present(current)
    at = np.sort(np.concatenate((first, second)))
    gaps = np.searchsorted(first, at[:-1], side="right") / first.size
    gaps -= np.searchsorted(second, at[:-1], side="right") / second.size
    return float((np.abs(gaps) * np.diff(at)).sum()) / (scale or float(first.std()) or 1.0)


def certain_radius(n: float, m: float, things: int = 1, alpha: float = ALPHA) -> float:
    """Return the KS distance that n and m rows exceed by chance only once in 1/alpha windows.

    ``things`` is the number of columns and scores tested in the window; the chance is shared
    among them (union bound). Falls with the square root of the smaller sample.

    Raises:
        TooFewError: if a side has no row.
        OutOfRangeError: if things < 1 or alpha is not between 0 and 1.

    Example:
        >>> round(certain_radius(50_000, 500, things=40), 3)
        0.107

    Source: Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, Annals of
    Probability 18 (1990); Wei and Dudley, Two-sample DKW inequalities, Statistics and
    Probability Letters 82 (2012), who find the constant 2 with n = m from 458 rows on, and a
    slightly larger one below.
    """
    _check_rows(n, m)
    return math.sqrt(_log_chance(things, alpha) / 2 * (1 / n + 1 / m))


def category_radius(
    shares: npt.ArrayLike, n: float, m: float, things: int = 1, alpha: float = ALPHA
) -> float:
    """Return the total variation that is exceeded by chance only once in 1/alpha windows.

    ``shares`` are those of the categories in the reference. The bias of the distance plus a
    radius for its scatter: one row moves the distance by at most 1/n or 1/m.

    Raises:
        TooFewError: if a side has no row.
        OutOfRangeError: if things < 1 or alpha is not between 0 and 1.

    Source: McDiarmid's bounded differences inequality.
    """
    return total_variation_bias(shares, n, m) + certain_radius(n, m, things, alpha)


def smallest_visible(n: float, m: float, things: int = 1, alpha: float = ALPHA) -> float:
    """Return the smallest KS distance this window could have reported, to print at its chart.

    At most 1: with so few rows that the radius exceeds it, no shift could be seen at all.

    Example:
        >>> round(smallest_visible(50_000, 5_000, things=40), 3)
        0.035
        >>> smallest_visible(10, 3, things=40)
        1.0
    """
    return min(certain_radius(n, m, things, alpha), 1.0)


def mean_shift_seen(
    edges: npt.ArrayLike, counts: npt.ArrayLike, scale: float, distance: float
) -> float | None:
    """Return by how many ``scale`` all values must move for a KS distance of ``distance``.

    ``counts`` are those of the cells between ``edges`` (see
    :mod:`mainspring.numerics.histograms`); values are taken as spread evenly within a cell. To
    say in plain words what a distance means: 0.1 is a quarter of a standard deviation of a
    normal column. None where that cannot be said: fewer than 8 edges, no scatter, or a distance
    that no move of the inner values reaches.

    Example:
        >>> mean_shift_seen(np.arange(1.0, 11.0), [1] * 11, 10.0, 0.25)
        0.275
    """
    at, below = np.asarray(edges, np.float64), np.asarray(counts, np.float64)
    width = float(at[-1] - at[0]) if at.size >= 8 else 0.0
    if not (0 < distance < 1 and scale > 0 and 0 < width < np.inf) or below.sum() <= 0:
        return None
    reached = np.cumsum(below)[:-1] / below.sum()
    # The value below which each share of rows lies; moved so far that the gap is the distance.
    lowest, highest = float(reached[0]), float(reached[-1])
    low = reached[reached + distance <= highest]
    if low.size == 0 or lowest + distance > highest:
        return None
    moves = np.interp(low + distance, reached, at) - np.interp(low, reached, at)
    return float(moves.min()) / scale


def _present(values: npt.ArrayLike) -> Floats:
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    ordered = ordered[: np.searchsorted(ordered, np.nan)]
    if ordered.size == 0:
        raise TooFewError("A distance needs at least one value on each side.")
    return ordered


def _counts(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats]:
    first = np.asarray(reference, dtype=np.float64)
    second = np.asarray(current, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise BinsDifferError(
            f"Both sides need counts over the same cells, found {first.shape} and {second.shape}."
        )
    if first.sum() <= 0 or second.sum() <= 0:
        raise TooFewError("A distance needs at least one row on each side.")
    return first, second


def _shares(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = _counts(reference, current)
    return first / first.sum(), second / second.sum()


def _relative_entropy(p: Floats, q: Floats) -> float:
    keep = p > 0
    return float((p[keep] * np.log(p[keep] / q[keep])).sum())


def _check_rows(n: float, m: float) -> None:
    if n < 1 or m < 1:
        raise TooFewError(f"A comparison needs rows on both sides, found {n:g} and {m:g}.")


def _log_chance(things: int, alpha: float) -> float:
    if things < 1 or not 0 < alpha < 1:
        raise OutOfRangeError(
            f"Needed: at least one thing to test and alpha in (0, 1); found {things} and {alpha}."
        )
    return math.log(2 * things / alpha)
