"""Say whether A beats B, from a handful of repeats of each, and what so few repeats could show.

Paired by seed where both have the same seeds, for then what a seed does to both falls out of
the difference; else Welch's test. All differences are ``first - second``.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.intervals import CONFIDENCE
from mainspring.numerics.student import shifted_tail, student_point, student_tail

POWER = 0.8  #: how often a real difference should be found, by convention
MOST_SIGNS = 20  #: pairs up to which every pattern of signs is tried (2**20 of them)
MOST_REPEATS = 100_000  #: more repeats than this are never advised
_TIE = 1e-12  # sums of the same numbers in another order differ by rounding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two sets of repeats say about the difference of their means."""

    paired: bool
    n: tuple[int, int]  #: values of each; pairs twice
    difference: float  #: mean(first) - mean(second)
    low: float
    high: float
    confidence: float
    p: float  #: two-sided, of the t test
    exact_p: float | None  #: two-sided, over every pattern of signs; None if not paired or many
    exact_least: float | None  #: the smallest that ``exact_p`` could be with so many pairs
    degrees: float
    error: float  #: standard error of the difference
    detectable: float  #: the smallest difference found with probability ``power``
    needed: int | None  #: repeats of each to find this difference; None if it would be too many
    power: float


def paired(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> Verdict:
    """Compare values that belong together in pairs, such as those of one seed.

    Raises:
        ShapesDifferError: if there are not as many of one as of the other.
        TooFewError: if there are fewer than two pairs.
        OutOfRangeError: if a value is not finite.

    Example:
        >>> found = paired([3.0, 4.0, 5.0], [1.0, 2.0, 4.0])
        >>> round(found.difference, 3), round(found.p, 4), found.exact_p
        (1.667, 0.0377, 0.25)

    Source: scipy.stats.ttest_rel; Fisher, The design of experiments (1935), 21: every pattern
    of signs of the differences is as likely as the one seen, if there is no difference.
    """
    left, right = _finite(first), _finite(second)
    if left.size != right.size:
        raise ShapesDifferError(f"Pairs need as many of each, found {left.size}, {right.size}.")
    gaps = left - right
    n = gaps.size
    if n < 2:
        raise TooFewError(f"A comparison needs at least 2 pairs, found {n}.")
    scatter = float(gaps.std(ddof=1))
    error = scatter / math.sqrt(n)
    mean = float(gaps.mean())
    exact, least = signs(gaps) if n <= MOST_SIGNS else (None, None)
    return Verdict(
        paired=True,
        n=(n, n),
        **_student(mean, error, n - 1, confidence, power),
        exact_p=exact,
        exact_least=least,
        needed=_needed(mean, scatter, confidence, power, pairs=True),
    )


def welch(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> Verdict:
    """Compare values that do not belong together, whatever the scatter of each.

    Raises:
        TooFewError: if either has fewer than two values.
        OutOfRangeError: if a value is not finite.

    Example:
        >>> found = welch([3.0, 4.0, 5.0], [1.0, 2.0, 4.0])
        >>> round(found.difference, 3), round(found.degrees, 2), round(found.p, 3)
        (1.667, 3.45, 0.2)

    Source: Welch, The generalization of Student's problem, Biometrika 34 (1947), as
    scipy.stats.ttest_ind(equal_var=False). Power at the same degrees of freedom.
    """
    left, right = _finite(first), _finite(second)
    if left.size < 2 or right.size < 2:
        raise TooFewError(
            f"A comparison needs at least 2 values of each, found {left.size} and {right.size}."
        )
    parts = [float(side.var(ddof=1)) / side.size for side in (left, right)]
    total = sum(parts)
    least = min(left.size, right.size) - 1
    degrees = float(least)
    if total > 0:
        # By shares of the total, whose squares do not underflow.
        shares = [part / total for part in parts]
        sizes = (left.size, right.size)
        below = sum(s * s / (n - 1) for s, n in zip(shares, sizes, strict=True))
        degrees = max(1 / below, float(least))
    mean = float(left.mean()) - float(right.mean())
    scatter = math.sqrt((float(left.var(ddof=1)) + float(right.var(ddof=1))) / 2)
    return Verdict(
        paired=False,
        n=(left.size, right.size),
        **_student(mean, math.sqrt(total), degrees, confidence, power),
        exact_p=None,
        exact_least=None,
        needed=_needed(mean, scatter, confidence, power, pairs=False),
    )


def signs(gaps: npt.ArrayLike) -> tuple[float, float]:
    """Return the exact two-sided p of differences, and the least it could be with so many.

    It is the share of the patterns of signs whose sum is as far from 0 as the one seen or
    farther. Nothing is assumed but that a difference may as well have had the other sign.

    Raises:
        TooFewError: if there is none.
        OutOfRangeError: if there are more than 20, which are too many to try all.

    Example:
        >>> signs([1.0, 2.0, 3.0])
        (0.25, 0.25)

    Source: scipy.stats.permutation_test(permutation_type="samples"); Fisher (1935), 21.
    """
    found = np.abs(_finite(gaps))
    if found.size < 1:
        raise TooFewError("A pattern of signs needs at least one difference, found none.")
    if found.size > MOST_SIGNS:
        raise OutOfRangeError(f"At most {MOST_SIGNS} differences are tried, found {found.size}.")
    sums = np.zeros(1)
    for size in found:  # each pattern's sum, built up one difference at a time
        sums = np.concatenate([sums + size, sums - size])
    seen = abs(float(_finite(gaps).sum()))
    slack = _TIE * float(found.sum())
    return float((np.abs(sums) >= seen - slack).mean()), 2.0 / 2**found.size


def power_of(
    difference: float, error: float, degrees: float, confidence: float = CONFIDENCE
) -> float:
    """Return how often a two-sided t test finds a true difference, given its standard error.

    Raises:
        OutOfRangeError: if the error is not above 0 or there is less than 1 degree of freedom.

    Source: Cohen, Statistical power analysis (1988), 2: tails of the noncentral t.
    """
    if not error > 0:
        raise OutOfRangeError(f"A standard error must be above 0, found {error}.")
    critical = student_point(0.5 + confidence / 2, degrees)
    shift = abs(difference) / error
    return shifted_tail(critical, degrees, shift) + shifted_tail(critical, degrees, -shift)


def detectable(
    error: float, degrees: float, confidence: float = CONFIDENCE, power: float = POWER
) -> float:
    """Return the smallest true difference that the test finds with this probability.

    At any difference the test is wrong as often as 1 - confidence says, so ``power`` is more.

    Raises:
        OutOfRangeError: if ``power`` is not above 1 - confidence.
    """
    if not 1 - confidence < power < 1:
        raise OutOfRangeError(f"Power lies between {1 - confidence:g} and 1, found {power}.")
    if error == 0:
        return 0.0

    def missing(shift: float) -> float:
        return power - power_of(shift, 1.0, degrees, confidence)

    low, high = 0.0, 1.0
    over, under = missing(low), missing(high)
    while under > 0:
        low, high, over = high, 2 * high, under
        under = missing(high)
    for _ in range(60):  # false position with Illinois' halving: some eight looks
        middle = high - under * (high - low) / (under - over)
        found = missing(middle)
        if found > 0:
            low, over, under = middle, found, under / 2
        else:
            high, under, over = middle, found, over / 2
        if abs(found) < 1e-10 or high - low < 1e-12 * high:
            return middle * error
    return high * error


def _student(
    mean: float, error: float, degrees: float, confidence: float, power: float
) -> dict[str, float]:
    if not (0 < confidence < 1 and 0 < power < 1):
        raise OutOfRangeError(
            f"Confidence and power lie between 0 and 1, found {confidence}, {power}."
        )
    reach = student_point(0.5 + confidence / 2, degrees) * error
    if error > 0:
        p = min(2 * student_tail(abs(mean) / error, degrees), 1.0)
    else:
        p = 1.0 if mean == 0 else 0.0  # without any scatter a difference is certain
    return {
        "difference": mean,
        "low": mean - reach,
        "high": mean + reach,
        "confidence": confidence,
        "p": p,
        "degrees": degrees,
        "error": error,
        "detectable": detectable(error, degrees, confidence, power),
        "power": power,
    }


def _needed(
    mean: float, scatter: float, confidence: float, power: float, *, pairs: bool
) -> int | None:
    """Return how many repeats of each find a difference like this one; None if too many would."""

    def enough(n: int) -> bool:
        error = scatter * math.sqrt((1 if pairs else 2) / n)
        if error == 0:
            return True
        degrees = n - 1 if pairs else 2 * (n - 1)
        return power_of(mean, error, degrees, confidence) >= power

    if mean == 0:
        return None
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_REPEATS:
            return None
    low = high // 2
    while high - low > 1 and high > 2:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(found).all():
        raise OutOfRangeError("A comparison needs finite values; NaN and infinities have no mean.")
    return found
