"""Thin a curve so that its peaks stay: of each stretch the lowest and the highest value."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError


def min_max(values: npt.ArrayLike, points: int) -> npt.NDArray[np.intp]:
    """Return which places of a series to keep, rising, at most ``points`` of them.

    The first and the last stay, and of equal stretches between them the lowest and the highest;
    infinities are such. A stretch of nothing but NaN keeps its first place.

    Raises:
        OutOfRangeError: if ``points`` is below 4.

    Example:
        >>> min_max([0.0, 9.0, 1.0, 1.0, 1.0, -5.0, 1.0, 2.0], 4).tolist()
        [0, 1, 5, 7]
    """
    if points < 4:
        raise OutOfRangeError(f"A curve keeps at least 4 points, found {points}.")
    series = np.asarray(values, dtype=np.float64)
    count = len(series)
    if count <= points:
        return np.arange(count)
    # Stretches begin where these say; the ends stay whatever they hold.
    starts = np.linspace(1, count - 1, (points - 2) // 2 + 1).astype(np.intp)
    kept = [0, count - 1]
    for begin, end in pairwise(starts):
        stretch = series[begin:end]
        known = ~np.isnan(stretch)
        if not known.any():
            kept.append(int(begin))
            continue
        kept.append(int(begin + np.where(known, stretch, np.inf).argmin()))
        kept.append(int(begin + np.where(known, stretch, -np.inf).argmax()))
    return np.unique(np.array(kept, dtype=np.intp))
