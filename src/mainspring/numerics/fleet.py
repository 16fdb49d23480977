"""Decide many tests together from evidence that depends on itself: e-values over a fleet."""

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError


def e_bh(e_values: npt.ArrayLike, fdr: float) -> npt.NDArray[np.bool_]:
    """Return which of some hypotheses are refuted together, the e-value of each being known.

    ``e_values`` are 0 or more, shape (k,): evidence that has a mean of at most 1 where its
    hypothesis is true, such as the wealth of a test by betting at any time one chooses to look.
    Among those that are refuted, at most a share ``fdr`` is refuted wrongly on average, however
    the e-values depend on each other. The m largest are refuted, for the largest m for which
    the m-th is at least k / (m * fdr); with one hypothesis that is the usual 1 / fdr.

    Raises:
        OutOfRangeError: if an e-value is below 0 or missing, or fdr not between 0 and 1.

    Example:
        >>> e_bh([90.0, 1.0, 35.0, 0.2], fdr=0.1)
        array([ True, False,  True, False])

    Source: Wang and Ramdas, False discovery rate control with e-values (JRSSB 84, 2022), the
    e-BH procedure of section 3 and its theorem 2.
    """
    values = np.asarray(e_values, dtype=np.float64).ravel()
    if not 0 < fdr < 1:
        raise OutOfRangeError(f"fdr must lie between 0 and 1, found {fdr}.")
    # Written so that NaN fails too.
    if values.size and not values.min() >= 0:
        raise OutOfRangeError(f"E-values are 0 or more, found {values.min()}.")
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(1, values.size + 1)
    enough = np.flatnonzero(values[order] * ranks * fdr >= values.size)
    refuted = np.zeros(values.size, dtype=np.bool_)
    if enough.size:
        refuted[order[: enough[-1] + 1]] = True
    return refuted
