"""Fit how a model's loss rises with its age, and say when it will have risen too far."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.quantiles import student_quantile

LEAST_POINTS = 6


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of rise over age, with the scatter of the points around it.

    ``rise`` is what the loss has gone up by, ``age`` in any unit of time.
    """

    start: float  #: rise at age 0
    slope: float  #: rise per unit of age
    points: int
    scatter: float  #: standard deviation of a point of weight 1 around the line
    middle: float  #: weighted mean age
    weight: float  #: sum of the weights
    spread: float  #: weighted sum of squares of age around the middle

    def at(self, age: float) -> float:
        """Return the rise that is expected at an age."""
        return self.start + self.slope * age

    def low(self, age: float, chance: float) -> float:
        """Return what the rise at an age is at least, but with that one-sided chance."""
        error = self.scatter * math.sqrt(1 / self.weight + self._leverage(age))
        return self.at(age) - student_quantile(1 - chance, self.points - 2) * error

    def rises(self, chance: float) -> bool:
        """Return whether the slope is above 0 for certain, but with that one-sided chance."""
        error = self.scatter / math.sqrt(self.spread)
        return self.slope > student_quantile(1 - chance, self.points - 2) * error

    def reaches(self, rise: float) -> float | None:
        """Return the age at which a rise is reached, at least 0; None if it never is."""
        if self.start >= rise:
            return 0.0
        return (rise - self.start) / self.slope if self.slope > 0 else None

    def _leverage(self, age: float) -> float:
        return (age - self.middle) ** 2 / self.spread


def fit(ages: npt.ArrayLike, rises: npt.ArrayLike, weights: npt.ArrayLike) -> Curve:
    """Return the line of least weighted squares through rises over ages, each of shape (points,).

    ``weights`` are how much each point is worth, such as its rows.

    Raises:
        TooFewError: for fewer than six points, or if all have the same age.
        ShapesDifferError: if the three do not have the same length.

    Example:
        >>> curve = fit([1, 2, 3, 4, 5, 6], [0.02, 0.04, 0.06, 0.08, 0.10, 0.12], [1] * 6)
        >>> round(curve.reaches(0.1), 6)
        5.0

    Source: weighted least squares with one regressor; Draper and Smith, Applied Regression
    Analysis, 3rd ed. (1998), sections 1.4 and 9.2.
    """
    x, y, w = (np.asarray(part, dtype=np.float64) for part in (ages, rises, weights))
    if not x.shape == y.shape == w.shape:
        raise ShapesDifferError(f"Points do not fit: {x.shape}, {y.shape} and {w.shape}.")
    if x.size < LEAST_POINTS:
        raise TooFewError(f"A curve needs {LEAST_POINTS} windows with labels, found {x.size}.")
    w = w / w.mean()
    total = float(w.sum())
    middle, height = float(w @ x) / total, float(w @ y) / total
    spread = float(w @ (x - middle) ** 2)
    if spread <= 1e-12 * max(1.0, middle * middle):
        raise TooFewError("A curve needs windows of different age, all have the same.")
    slope = float(w @ ((x - middle) * (y - height))) / spread
    rest = y - height - slope * (x - middle)
    scatter = math.sqrt(float(w @ rest**2) / (x.size - 2))
    return Curve(height - slope * middle, slope, x.size, scatter, middle, total, spread)


def best_interval(slope: float, volume: float, value: float, cost: float) -> float | None:
    """Return the time between two retrainings at which loss and cost together are least.

    ``slope`` is what the mean loss a row rises by in a unit of time, ``volume`` the rows in a
    unit of time, ``value`` the worth of one unit of loss on one row and ``cost`` that of one
    retraining. A model retrained every T loses slope * T / 2 a row on average, so that a unit
    of time costs volume * value * slope * T / 2 + cost / T, which is least at
    sqrt(2 * cost / (volume * value * slope)). None where nothing is lost by waiting.

    Raises:
        OutOfRangeError: if volume, value or cost is negative.

    Example:
        >>> best_interval(slope=0.001, volume=1000, value=0.5, cost=16)
        8.0

    Source: Harris, How many parts to make at once, Factory 10 (1913): the economic order
    quantity, with stale loss in the place of stock.
    """
    if min(volume, value, cost) < 0:
        raise OutOfRangeError("Volume, value and cost cannot be negative.")
    lost = slope * volume * value
    return math.sqrt(2 * cost / lost) if lost > 0 else None
