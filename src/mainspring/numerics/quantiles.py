"""Quantiles of the normal and the Student distribution, without scipy at run time."""

import math
from statistics import NormalDist

from mainspring.numerics.errors import OutOfRangeError

# The finite series has df/2 terms; above this the normal expansion is closer than 1e-9.
_SERIES_MOST_DF = 400


def normal_quantile(probability: float) -> float:
    """Return the point below which a standard normal falls with this probability.

    Raises:
        OutOfRangeError: if the probability is not strictly between 0 and 1.

    Example:
        >>> round(normal_quantile(0.975), 4)
        1.96
    """
    _check_probability(probability)
    return NormalDist().inv_cdf(probability)


def two_sided_z(confidence: float) -> float:
    """Return how many standard errors a two-sided normal interval reaches to each side.

    Example:
        >>> round(two_sided_z(0.95), 4)
        1.96
    """
    return normal_quantile(0.5 + confidence / 2)


def student_quantile(probability: float, degrees: int) -> float:
    """Return the point below which Student's t with whole degrees of freedom falls.

    ``degrees`` is at least 1; with more of them the result nears the normal quantile.

    Raises:
        OutOfRangeError: if the probability is not strictly between 0 and 1, or degrees < 1.

    Example:
        >>> round(student_quantile(0.975, 4), 3)
        2.776

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3, 26.7.4 (finite
    series, inverted by bisection) and 26.7.5 (expansion for many degrees of freedom).
    """
    _check_probability(probability)
    if degrees < 1:
        raise OutOfRangeError(f"Student's t needs at least 1 degree of freedom, not {degrees}.")
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    if degrees > _SERIES_MOST_DF:
        return _expansion(normal_quantile(probability), degrees)
    # Bisection over the angle atan(t / sqrt(df)), which is bounded whatever the quantile.
    low, high = 0.0, math.pi / 2
    wanted = 2 * probability - 1
    for _ in range(80):
        middle = (low + high) / 2
        if _central_probability(middle, degrees) < wanted:
            low = middle
        else:
            high = middle
    return math.tan((low + high) / 2) * math.sqrt(degrees)


def _check_probability(probability: float) -> None:
    if not 0 < probability < 1:
        raise OutOfRangeError(f"A probability must lie between 0 and 1, found {probability}.")


def _central_probability(angle: float, degrees: int) -> float:
    """P(|T| <= tan(angle) * sqrt(degrees))."""
    cosine, sine = math.cos(angle), math.sin(angle)
    if degrees == 1:
        return 2 * angle / math.pi
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term
    for power in range(2 if odd else 1, degrees - 2, 2):
        term *= cosine * cosine * power / (power + 1)
        total += term
    if odd:
        return 2 / math.pi * (angle + sine * total)
    return sine * total


def _expansion(z: float, degrees: int) -> float:
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
