"""Ask of every row of a facet how its like in the other facet was judged: the flip test."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import ShapesDifferError, TooFewError
from mainspring.numerics.intervals import CONFIDENCE, Interval
from mainspring.numerics.quantiles import two_sided_z


@dataclass(frozen=True, slots=True)
class Flips:
    """How many rows of a facet were judged better, and worse, than their like in the other."""

    ups: int
    downs: int
    asked: int  # rows of the facet
    rows: int  # of both facets


def flip_test(
    inputs_a: npt.ArrayLike,
    said_a: npt.ArrayLike,
    inputs_d: npt.ArrayLike,
    said_d: npt.ArrayLike,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return FT: how often a row of d is judged otherwise than its like in a, up minus down.

    ``inputs`` are numbers, shape (rows, features), on scales that may be compared; ``said`` is
    the model's answer, 0 or 1. The like of a row are its 5 nearest neighbours in a (one, if a
    has 10 rows or fewer), by Euclidean distance; they vote. 1 means that every row of d was
    accepted where its like was not. The interval takes a's rows as given. Takes O(a * d).

    Raises:
        TooFewError: if a facet has no row.
        ShapesDifferError: if answers or features do not fit the rows.

    Example:
        >>> flip_test([[0.0], [1.0]], [0, 1], [[0.1], [0.9]], [1, 1]).estimate
        0.5

    Source: Black, Yeom and Fredrikson, FlipTest, FAT* 2020, as approximated by Clarify.
    """
    return flip_interval(count_flips(inputs_a, said_a, inputs_d, said_d), confidence)


def count_flips(
    inputs_a: npt.ArrayLike, said_a: npt.ArrayLike, inputs_d: npt.ArrayLike, said_d: npt.ArrayLike
) -> Flips:
    """Count the flips of :func:`flip_test`; this is the part that takes its time."""
    a, d = np.asarray(inputs_a, dtype=np.float64), np.asarray(inputs_d, dtype=np.float64)
    answers_a, answers_d = np.asarray(said_a, dtype=np.int64), np.asarray(said_d, dtype=np.int64)
    if len(a) < 1 or len(d) < 1:
        raise TooFewError(f"Both facets need rows, found {len(a)} (a) and {len(d)} (d).")
    if (
        a.ndim != 2
        or a.shape[1:] != d.shape[1:]
        or len(a) != len(answers_a)
        or len(d) != len(answers_d)
    ):
        raise ShapesDifferError(f"Facets do not fit: {a.shape} and {d.shape}.")
    like = 5 if len(a) > 10 else 1
    norms = (a**2).sum(axis=1)
    flips = np.empty(len(d))
    for start in range(0, len(d), 512):  # a block at a time, so that distances fit in memory
        block = d[start : start + 512]
        distances = norms - 2 * block @ a.T
        nearest = np.argpartition(distances, like - 1, axis=1)[:, :like]
        voted = answers_a[nearest].sum(axis=1) * 2 > like
        flips[start : start + 512] = answers_d[start : start + 512] - voted
    return Flips(int((flips > 0).sum()), int((flips < 0).sum()), len(d), len(a) + len(d))


def flip_interval(flips: Flips, confidence: float = CONFIDENCE) -> Interval:
    """Return FT of counted flips, with its interval.

    Smoothed for the ends, or a facet whose rows all agree would be certain.
    """
    value = (flips.ups - flips.downs) / flips.asked
    rows = flips.asked + 3.0
    up, down = (flips.ups + 1) / rows, (flips.downs + 1) / rows
    reach = two_sided_z(confidence) * math.sqrt((up + down - (up - down) ** 2) / rows)
    low, high = min(up - down - reach, value), max(up - down + reach, value)
    return Interval(value, low, high, confidence, flips.rows)
