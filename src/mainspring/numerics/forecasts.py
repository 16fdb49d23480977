"""Say how good forecasts are: relative to what came, to the naive forecast, and in their ranges.

A row is one forecast: what was said, what came, and where there are any the naive forecast and
the ends of the range that should hold the truth with a stated chance.
"""

import math

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.intervals import CONFIDENCE, Interval, mean_interval, wilson
from mainspring.numerics.quantiles import student_quantile

Floats = npt.NDArray[np.float64]


def wape(said: npt.ArrayLike, came: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the sum of absolute errors over the sum of absolute actuals; 0 is perfect.

    Defined where single actuals are 0, unlike :func:`mape`. The interval is that of a ratio of
    two means (delta method).

    Raises:
        ShapesDifferError: if the two do not have the same rows.
        TooFewError: if there are fewer than two rows.
        OutOfRangeError: if a number is missing, or every actual is 0.

    Example:
        >>> wape([12.0, 8.0], [10.0, 10.0]).estimate
        0.2

    Source: Kolassa and Schuetz, Advantages of the MAD/Mean ratio over the MAPE, Foresight 6
    (2007).
    """
    f, y = _pair(said, came)
    return ratio_of_means(np.abs(f - y), np.abs(y), confidence)


def mape(said: npt.ArrayLike, came: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of |error| / |actual| over the rows whose actual is not 0.

    ``n`` of the interval says how many those are.

    Raises:
        ShapesDifferError: if the two do not have the same rows.
        TooFewError: if fewer than two actuals are not 0.
        OutOfRangeError: if a number is missing.

    Source: sklearn.metrics.mean_absolute_percentage_error, but for actuals of 0.
    """
    f, y = _pair(said, came)
    there = y != 0
    if int(there.sum()) < 2:
        raise TooFewError(
            f"MAPE needs two actuals other than 0, found {int(there.sum())} of {y.size}."
        )
    return mean_interval(np.abs(f - y)[there] / np.abs(y[there]), confidence)


def smape(said: npt.ArrayLike, came: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of 2 |error| / (|said| + |came|), between 0 and 2; 0 / 0 counts as 0.

    Raises:
        ShapesDifferError, TooFewError, OutOfRangeError: as :func:`wape`.

    Example:
        >>> round(smape([12.0, 0.0], [8.0, 0.0]).estimate, 2)
        0.2

    Source: Makridakis and Hibon, The M3-Competition, International Journal of Forecasting 16
    (2000), as a share instead of per cent.
    """
    f, y = _pair(said, came)
    size = np.abs(f) + np.abs(y)
    shares = np.divide(2 * np.abs(f - y), size, out=np.zeros_like(size), where=size > 0)
    return mean_interval(shares, confidence)


def mase(
    said: npt.ArrayLike,
    came: npt.ArrayLike,
    naive: npt.ArrayLike,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the mean absolute error over that of the naive forecast of the same rows.

    Below 1 the model beats the naive forecast. Hyndman and Koehler scale by the naive error
    in the history; here both are measured on the same rows, so that a hard month is hard for
    both, and the two errors' covariance makes the interval narrower.

    Raises:
        ShapesDifferError, TooFewError: as :func:`wape`.
        OutOfRangeError: if a number is missing, or the naive forecast has no error.

    Example:
        >>> mase([11.0, 19.0], [10.0, 20.0], [8.0, 22.0]).estimate
        0.5

    Source: Hyndman and Koehler, Another look at measures of forecast accuracy, International
    Journal of Forecasting 22 (2006): the relative measure of 2.3 with the scale of 2.4.
    """
    f, y = _pair(said, came)
    plain, _ = _pair(naive, came)
    return ratio_of_means(np.abs(f - y), np.abs(plain - y), confidence)


def coverage(
    low: npt.ArrayLike, high: npt.ArrayLike, came: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return the share of actuals inside of their range, ends included (Wilson).

    A range whose low end lies above its high end holds nothing.

    Raises:
        ShapesDifferError: if the three do not have the same rows.
        TooFewError: if there is no row.
        OutOfRangeError: if a number is missing.

    Example:
        >>> coverage([0.0, 0.0], [2.0, 2.0], [1.0, 3.0]).estimate
        0.5
    """
    least, y = _pair(low, came)
    most, _ = _pair(high, came)
    return wilson(int(((least <= y) & (y <= most)).sum()), y.size, confidence)


def interval_score(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    came: npt.ArrayLike,
    nominal: float,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the mean interval score: the width, and a fine for what fell outside; less is better.

    ``nominal`` is the chance with which the range should hold the truth, such as 0.9. A wide
    range covers and a narrow one is sharp: this weighs one against the other, in the target's
    unit.

    Raises:
        ShapesDifferError, TooFewError: as :func:`wape`.
        OutOfRangeError: if a number is missing or the nominal chance not between 0 and 1.

    Source: Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation,
    JASA 102 (2007), equation 43.
    """
    if not 0 < nominal < 1:
        raise OutOfRangeError(f"A nominal coverage lies between 0 and 1, found {nominal}.")
    least, y = _pair(low, came)
    most, _ = _pair(high, came)
    fine = 2 / (1 - nominal)
    score = (most - least) + fine * (np.maximum(least - y, 0) + np.maximum(y - most, 0))
    return mean_interval(score, confidence)


def ratio_of_means(
    above: npt.ArrayLike, below: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return mean(above) / mean(below) of the same rows with its interval (delta method).

    Raises:
        ShapesDifferError: if the two do not have the same rows.
        TooFewError: if there are fewer than two rows.
        OutOfRangeError: if a number is missing or mean(below) is 0.

    Source: Cochran, Sampling Techniques (1977), 6.3: the variance of a ratio estimate.
    """
    a, b = _pair(above, below)
    if a.size < 2:
        raise TooFewError(f"The scatter of a ratio needs at least 2 rows, found {a.size}.")
    if float(b.mean()) == 0:
        raise OutOfRangeError("What the errors are divided by is 0 in every row.")
    share = float(a.mean()) / float(b.mean())
    scatter = float((a - share * b).std(ddof=1)) / abs(float(b.mean())) / math.sqrt(a.size)
    reach = student_quantile(0.5 + confidence / 2, a.size - 1) * scatter
    return Interval(share, share - reach, share + reach, confidence, a.size)


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    left = np.asarray(first, dtype=np.float64).ravel()
    right = np.asarray(second, dtype=np.float64).ravel()
    if left.size != right.size:
        raise ShapesDifferError(f"Found {left.size} and {right.size} rows, which belong together.")
    if left.size == 0:
        raise TooFewError("A forecast is measured on at least one row, found none.")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise OutOfRangeError("Forecasts and actuals must be finite; leave missing rows out.")
    return left, right
