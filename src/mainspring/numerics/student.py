"""Student's t with any degrees of freedom, central and shifted: what tests and their power need.

Whole degrees and central quantiles stand in :mod:`mainspring.numerics.quantiles`; Welch's test
has fractions of them, and the power of a test is a probability of the shifted (noncentral) t.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.quantiles import student_quantile

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_SMALLEST = 1e-300


def beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), between 0 and 1.

    Raises:
        OutOfRangeError: if x is outside of [0, 1], or a or b is not above 0.

    Example:
        >>> round(beta_share(0.5, 2, 3), 4)
        0.6875

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.8 (continued
    fraction, evaluated by Lentz's method) and 26.5.2 (reflection).
    """
    if not 0 <= x <= 1 or a <= 0 or b <= 0:
        raise OutOfRangeError(f"I_x(a, b) needs 0 <= x <= 1 and a, b > 0, found {x}, {a}, {b}.")
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1.0 / _away_from_0(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away_from_0(1 + step * d)
            c = _away_from_0(1 + step / c)
            result *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return min(front * result / a, 1.0)


def student_tail(t: float, degrees: float) -> float:
    """Return how often Student's t lies above ``t``. ``degrees`` may be a fraction, at least 1.

    Raises:
        OutOfRangeError: if there is less than 1 degree of freedom.

    Example:
        >>> round(student_tail(1.0, 1), 4)
        0.25

    Source: Abramowitz and Stegun, 26.7.1: P(|T| > t) = I_x(df / 2, 1 / 2), x = df / (df + t^2).
    """
    _check_degrees(degrees)
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    square = t * t
    if square < degrees:  # near 0 the other side keeps the digits
        half = (1 - beta_share(square / (degrees + square), 0.5, degrees / 2)) / 2
    else:
        half = beta_share(degrees / (degrees + square), degrees / 2, 0.5) / 2
    return half if t >= 0 else 1 - half


# The search for a detectable difference asks for the same point some forty times over.
@lru_cache(maxsize=256)
def student_point(probability: float, degrees: float) -> float:
    """Return the point below which Student's t falls, for any degrees of freedom from 1 on.

    Raises:
        OutOfRangeError: if the probability is not strictly between 0 and 1, or degrees < 1.

    Example:
        >>> round(student_point(0.975, 4.5), 3)
        2.659

    Source: inverse of :func:`student_tail`, by bisection over atan(t / sqrt(df)).
    """
    _check_degrees(degrees)
    if float(degrees).is_integer():
        return student_quantile(probability, int(degrees))
    if not 0 < probability < 1:
        raise OutOfRangeError(f"A probability must lie between 0 and 1, found {probability}.")
    if probability < 0.5:
        return -student_point(1 - probability, degrees)
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        if student_tail(math.tan(middle) * math.sqrt(degrees), degrees) > 1 - probability:
            low = middle
        else:
            high = middle
    return math.tan((low + high) / 2) * math.sqrt(degrees)


def shifted_tail(t: float, degrees: float, shift: float) -> float:
    """Return how often the noncentral t, (Z + shift) / sqrt(V / degrees), lies above ``t``.

    Z is standard normal and V chi-square with ``degrees`` (at least 1). The error is below 1e-9
    for any shift, also at one degree of freedom, where the series of others lose digits.

    Raises:
        OutOfRangeError: if there is less than 1 degree of freedom or the shift is not finite.

    Example:
        >>> round(shifted_tail(0.0, 5, 0.0), 12)
        0.5

    Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), 31.2:
    the integral of the normal probability over the chi density. It is taken panel by panel with
    20 Gauss-Legendre nodes each; panels shrink towards 0, where the density may have a kink, and
    towards the place where the normal probability turns from 1 to 0.
    """
    _check_degrees(degrees)
    if not math.isfinite(shift):
        raise OutOfRangeError(f"A shift must be finite, found {shift}.")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    if t < 0:
        return 1 - shifted_tail(-t, degrees, -shift)
    slope = t / math.sqrt(degrees)
    edges = _panels(degrees, slope, shift)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    s = (middle[:, None] + half[:, None] * _NODES).ravel()
    weights = (half[:, None] * _WEIGHTS).ravel()
    constant = (degrees / 2 - 1) * math.log(2) + math.lgamma(degrees / 2)
    density = np.exp((degrees - 1) * np.log(s) - s * s / 2 - constant)
    root = math.sqrt(2)
    above = np.array([math.erfc((slope * one - shift) / root) / 2 for one in s.tolist()])
    # The density's own sum is 1 but for rounding; dividing by it takes that rounding out.
    share = float((weights * density * above).sum() / (weights * density).sum())
    return min(max(share, 0.0), 1.0)


def _panels(degrees: float, slope: float, shift: float) -> npt.NDArray[np.float64]:
    """Return the ends of the panels between 0 and where the chi density has died away."""
    centre = math.sqrt(degrees)
    top = centre + 12
    ends = {top}
    # Only with a fraction of a degree has the density a kink at 0.
    shrinking = 6 if float(degrees).is_integer() else 60
    ends.update(top * 0.5**k for k in range(1, shrinking))
    ends.update(centre + 0.7 * j for j in range(-17, 18))
    if slope > 0:
        turn, width = shift / slope, 1 / slope
        ends.update(turn + width * j for j in range(-9, 10))
    # An end beside 0 would put nodes where s underflows.
    inside = [0.0, *sorted(end for end in ends if 1e-30 < end <= top)]
    return np.array(inside, dtype=np.float64)


def _away_from_0(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def _check_degrees(degrees: float) -> None:
    if not degrees >= 1:
        raise OutOfRangeError(f"Student's t needs at least 1 degree of freedom, not {degrees}.")
