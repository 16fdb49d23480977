"""Say whether probabilities mean what they say, on average."""

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.intervals import CONFIDENCE, Interval, mean_interval


def calibration_in_the_large(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return mean(target - probability) with its interval; above 0 the model says too little.

    Both have shape (rows,), the target is 0 or 1. If the interval leaves out 0 the base rate has
    probably moved, which a refit of two numbers repairs more cheaply than a retraining.

    Raises:
        ShapesDifferError: if the two do not have the same rows.
        TooFewError: if there are fewer than two rows.

    Example:
        >>> calibration_in_the_large([0.5, 0.5, 0.2, 0.8], [1, 1, 0, 1]).estimate
        0.25
    """
    said = np.asarray(probabilities, dtype=np.float64)
    came = np.asarray(target, dtype=np.float64)
    if said.shape != came.shape:
        raise ShapesDifferError(f"{said.shape} probabilities for a target of {came.shape}.")
    return mean_interval(came - said, confidence)
