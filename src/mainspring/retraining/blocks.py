"""Cut time into blocks that may be taken as independent, where rows side by side are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import DAY_S

_LEAST_DAYS = 5
_PIECES = 10


def time_blocks(times: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the block of every row: its UTC day, or a tenth of the rows where days are few.

    ``times`` are UTC seconds, shape (rows,). An interval by block needs several blocks; below
    five days the rows are cut into ten stretches of equal length in rows. Rows that all bear
    the same time count each on their own.

    Example:
        >>> time_blocks([0.0, 10.0, 86_400.0 * 3, 86_400.0 * 5, 86_400.0 * 7, 86_400.0 * 9])
        array([0, 0, 3, 5, 7, 9])
    """
    seconds = np.asarray(times, dtype=np.float64).ravel()
    days = np.floor(seconds / DAY_S).astype(np.int64)
    if np.unique(days).size >= _LEAST_DAYS:
        return days
    if seconds.size < 2 * _PIECES or seconds.min() == seconds.max():
        return np.arange(seconds.size, dtype=np.int64)
    place = np.empty(seconds.size, dtype=np.int64)
    place[np.argsort(seconds, kind="stable")] = np.arange(seconds.size)
    return place * _PIECES // seconds.size
