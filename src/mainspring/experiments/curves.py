"""Thin a curve so that what matters of it stays to be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mainspring.experiments.chunks import Floats, Ints, Series


def thin(series: Series, points: int) -> Series:
    """Return at most ``points`` points (at least 5) of a series, in their order.

    The first and the last stay, and of each stretch the lowest, the highest and, if there is
    one, a NaN; an infinity is the lowest or the highest. A short series stays as it is.

    >>> rise = np.arange(1000.0)
    >>> thin(Series(np.arange(1000), rise, rise), 7).values
    array([  0., 499., 500., 999.])
    """
    count = len(series)
    if count <= points:
        return series
    none = np.isnan(series.values)
    of_each = 3 if none.any() else 2
    stretches = max(1, (points - 2) // of_each)
    size = -(-count // stretches)
    places = [np.array([0, count - 1])]
    places += _extremes(series.values, none, size)
    return series.at(np.unique(np.concatenate(places)))


def _extremes(values: Floats, none: NDArray[np.bool_], size: int) -> list[Ints]:
    count = len(values)
    rows = -(-count // size)
    padded = np.full(rows * size, np.nan)
    padded[:count] = values
    table = padded.reshape(rows, size)
    known = ~np.isnan(table)
    starts = np.arange(rows) * size
    has = known.any(axis=1)
    low = np.where(known, table, np.inf).argmin(axis=1)
    high = np.where(known, table, -np.inf).argmax(axis=1)
    found = [(starts + low)[has], (starts + high)[has]]
    if none.any():
        marks = np.zeros(rows * size, bool)
        marks[:count] = none
        of_row = marks.reshape(rows, size)
        found.append((starts + of_row.argmax(axis=1))[of_row.any(axis=1)])
    return found
