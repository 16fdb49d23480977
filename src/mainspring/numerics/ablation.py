"""Say what each input of a model is worth: how much worse the model does without it.

A gain is the mean loss without an input less the mean loss with it, on the same rows. Many inputs
are tried at once, so every interval is widened until all of them hold together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mainspring.numerics.correlation import rank_correlations
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.numerics.intervals import CONFIDENCE, Interval, block_difference

#: Rows are cut into so many stretches, each of which counts as one observation.
STRETCHES = 50
_ROWS_OF_A_STRETCH = 4

Worth = Literal["useful", "epsilon", "useless", "unproven", "harmful"]


@dataclass(frozen=True, slots=True)
class Gain:
    """What an input, or a group of them, is worth, in units of the loss."""

    gain: float
    low: float
    high: float
    worth: Worth

    @property
    def shown(self) -> bool:
        """Return whether a gain above 0 is certain."""
        return self.low > 0


def stretches(rows: int) -> npt.NDArray[np.int64]:
    """Return the block of every row, rows in the order they came: at most 50 equal stretches.

    Neighbours are often alike (one day, one customer); a stretch counts once. A stretch has at
    least four rows where there are eight.

    Example:
        >>> stretches(8)
        array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    blocks = max(min(STRETCHES, rows // _ROWS_OF_A_STRETCH), 1)
    return np.arange(rows, dtype=np.int64) * blocks // max(rows, 1)


def gains(
    full: npt.ArrayLike,
    without: Mapping[str, npt.ArrayLike],
    blocks: npt.ArrayLike,
    margin: float,
    confidence: float = CONFIDENCE,
) -> dict[str, Gain]:
    """Return the gain of each of several inputs, with intervals that hold all at once.

    ``full`` holds the losses of the model with every input, shape (rows,); ``without`` those of
    the same rows when one input, or one group, is taken away. ``margin`` is the loss below which
    a gain does not matter. With the chance ``confidence`` every interval holds. An input is

    * ``useful`` if its gain is surely above 0 and may be above the margin,
    * ``epsilon`` if it is surely above 0 and surely below the margin,
    * ``useless`` if it is not surely above 0 and surely below the margin,
    * ``harmful`` if it is surely below 0: the model does better without,
    * ``unproven`` otherwise: the rows are too few to tell.

    Raises:
        ShapesDifferError: if the losses are not of the same rows.
        TooFewError: if there are fewer than two blocks.
        OutOfRangeError: if the margin is negative or the confidence not between 0 and 1.

    Example:
        >>> with_it = np.zeros(40)
        >>> gone = {"a": with_it + 0.5 + 0.01 * np.arange(40) % 0.02, "b": with_it}
        >>> found = gains(with_it, gone, stretches(40), margin=0.01)
        >>> found["a"].worth, found["b"].worth, found["b"].gain
        ('useful', 'useless', 0.0)

    Source: leave-one-covariate-out, Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
    Distribution-free predictive inference for regression, JASA 113 (2018), section 6; the union
    bound over the inputs (Bonferroni); blocks as in :func:`intervals.block_difference`.
    """
    if not margin >= 0:
        raise OutOfRangeError(f"A margin is a loss of at least 0, found {margin}.")
    if not 0 < confidence < 1:
        raise OutOfRangeError(f"Confidence must lie between 0 and 1, found {confidence}.")
    base = np.asarray(full, dtype=np.float64)
    each = 1 - (1 - confidence) / max(len(without), 1)
    found = {}
    for name, losses in without.items():
        rows = np.asarray(losses, dtype=np.float64)
        if rows.shape != base.shape:
            raise ShapesDifferError(
                f"Without {name!r} there are {rows.size} losses, with it {base.size}."
            )
        band = block_difference(rows - base, blocks, each)
        found[name] = Gain(band.estimate, band.low, band.high, _worth(band, margin))
    return found


def clusters(columns: npt.ArrayLike, names: Sequence[str], least: float = 0.9) -> list[list[str]]:
    """Return the groups of columns that stand for one another, each of two or more.

    ``columns`` has shape (rows, k), a NaN where a value is missing. Two columns belong together
    if their rank correlation is at least ``least`` either way; groups are what is joined so.

    Raises:
        ShapesDifferError: if there is not one name a column.
        TooFewError: with fewer than 3 rows.

    Example:
        >>> rows = np.arange(9.0)
        >>> clusters(np.column_stack([rows, -2 * rows, (rows - 4) ** 2]), ["a", "b", "c"])
        [['a', 'b']]
    """
    matrix = np.asarray(columns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise ShapesDifferError(f"{len(names)} names for columns of shape {matrix.shape}.")
    if len(names) < 2:
        return []
    alike = np.abs(rank_correlations(matrix)) >= least
    left, found = set(range(len(names))), []
    while left:
        group, edge = set[int](), {min(left)}
        while edge:
            group |= edge
            edge = {other for one in edge for other in left - group if alike[one, other]}
        left -= group
        if len(group) > 1:
            found.append([names[place] for place in sorted(group)])
    return found


def _worth(band: Interval, margin: float) -> Worth:
    if band.high < 0:
        return "harmful"
    if band.low > 0:
        return "useful" if band.high >= margin else "epsilon"
    # A column that changes nothing at all has no width: it is surely worth nothing.
    return "useless" if band.high < margin or band.high == band.low == 0 else "unproven"
