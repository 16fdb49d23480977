"""Say what keeping the champion costs, and whether a retraining pays.

Regret is the champion's loss minus that of a cheap fresh challenger on the same newest labelled
rows. Unlike drift it is about the target, and unlike the champion's loss alone it does not rise
when a month is merely harder.
"""

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.numerics.intervals import CONFIDENCE, Interval, block_difference, mean_interval


def regret(
    champion_losses: npt.ArrayLike,
    fresh_losses: npt.ArrayLike,
    blocks: npt.ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the mean regret a row; its ``low`` is a one-sided bound at ``confidence``.

    Both losses have shape (rows,) and belong to the same rows. ``blocks`` names the block (such
    as the day) of each row when rows of a block depend on each other. The interval is two-sided
    at ``2 * confidence - 1``, so that ``low`` alone holds with ``confidence``.

    Raises:
        ShapesDifferError: if the arrays do not have the same rows.
        TooFewError: if there are fewer than two rows or blocks.
        OutOfRangeError: if the confidence is not between 0.5 and 1.

    Example:
        >>> band = regret([0.4, 0.5, 0.6], [0.3, 0.3, 0.3])
        >>> round(band.estimate, 3), round(band.low, 3)
        (0.2, 0.031)
    """
    if not 0.5 < confidence < 1:
        raise OutOfRangeError(f"Confidence must lie between 0.5 and 1, found {confidence}.")
    champion = np.asarray(champion_losses, dtype=np.float64)
    fresh = np.asarray(fresh_losses, dtype=np.float64)
    if champion.shape != fresh.shape:
        raise ShapesDifferError(
            f"Regret needs both losses of the same rows, found {champion.shape} and {fresh.shape}."
        )
    both_sides = 2 * confidence - 1
    if blocks is None:
        return mean_interval(champion - fresh, both_sides)
    return block_difference(champion - fresh, blocks, both_sides)


def lower_regret(
    champion_losses: npt.ArrayLike,
    fresh_losses: npt.ArrayLike,
    blocks: npt.ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> float:
    """Return the regret a row that is exceeded with ``confidence``; see :func:`regret`."""
    return regret(champion_losses, fresh_losses, blocks, confidence).low


def pays(lower_bound: float, volume: float, value_per_loss: float, cost: float) -> bool:
    """Return whether the loss a retraining surely saves is worth more than it costs.

    ``lower_bound`` is the regret a row, ``volume`` the rows until the next check,
    ``value_per_loss`` the worth of one unit of loss, in the unit of ``cost``.

    Raises:
        OutOfRangeError: if volume, value or cost is negative.

    Example:
        >>> pays(0.01, volume=50_000, value_per_loss=0.1, cost=20)
        True

    Source: the cost-aware rule of Mahadevan and Mathioudakis, arXiv 2310.04216, with the gain
    replaced by its lower bound.
    """
    if min(volume, value_per_loss, cost) < 0:
        raise OutOfRangeError("Volume, value and cost cannot be negative.")
    return lower_bound * volume * value_per_loss > cost
