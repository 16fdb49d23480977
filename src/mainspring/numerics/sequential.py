"""Evidence that stays valid however often it is looked at: betting for rollouts and alarms.

:class:`Wealth` belongs to a rollout. It bets on "the mean difference is above the margin"; if
that is false, its value reaches ``1 / alpha`` with probability at most ``alpha``, however often
and whenever someone looks (Ville's inequality). So a version is promoted when the wealth
against "not better" has crossed, and rolled back when the wealth against "not worse" has.

:class:`EDetector` belongs to a champion. It watches losses for a rise above a base and alarms
by chance at most once in ``run_length`` labels on average.

Both are a few floats of state, survive restarts, and do not care how rows are batched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError

Floats = npt.NDArray[np.float64]

# The grid that was measured on equal, worse and skewed rollouts. Small bets win on small
# differences in many rows, large bets on large differences in few.
BETS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5)
_BETS = np.array(BETS)
# Shifts of the mean loss for which one bet of the detector each is the best one.
SHIFTS = (0.01, 0.02, 0.05, 0.1, 0.2)
# Rows taken at once, so that memory stays small on any batch.
_CHUNK = 65_536
# A detector looks again at what follows an alarm, so it takes fewer.
_WATCHED = 2_048


@dataclass(frozen=True, slots=True)
class Wealth:
    """The log-wealth of every bet, the highest log of their mean so far, and the rows seen."""

    logs: tuple[float, ...] = (0.0,) * len(BETS)
    peak: float = 0.0
    seen: int = 0

    def to_list(self) -> list[float]:
        """Return the state as plain numbers, for storing."""
        return [float(self.seen), self.peak, *self.logs]

    @staticmethod
    def from_list(numbers: Sequence[float]) -> "Wealth":
        """Return the state that :meth:`to_list` stored.

        Raises:
            ShapesDifferError: if the list was not made for these bets.
        """
        if len(numbers) != len(BETS) + 2:
            raise ShapesDifferError(
                f"A stored wealth has {len(BETS) + 2} numbers, found {len(numbers)}."
            )
        return Wealth(tuple(numbers[2:]), numbers[1], int(numbers[0]))


def update(wealth: Wealth, differences: npt.ArrayLike, margin: float = 0.0) -> Wealth:
    """Return the wealth after betting on more differences, in the order they came.

    ``differences`` are in [-1, 1], one a row, such as loss(champion) - loss(challenger) of the
    same row. The wealth is evidence against "every difference has a mean of at most ``margin``
    given those before it"; the margin lies strictly between -1 and 1 and stays the same for the
    life of a wealth. How rows are cut into batches does not matter.

    Raises:
        OutOfRangeError: if a difference is missing or outside [-1, 1], or the margin outside
            (-1, 1).

    Example:
        >>> grown = update(Wealth(), [1.0] * 20)
        >>> round(value(grown)), crossed(grown, alpha=0.05)
        (452, True)

    Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting
    (JRSSB 2024, arXiv 2010.09686); a mixture over fixed bets.
    """
    rows = np.asarray(differences, dtype=np.float64).ravel()
    if not -1 < margin < 1:
        raise OutOfRangeError(f"The margin must lie strictly between -1 and 1, found {margin}.")
    # Written so that NaN fails too.
    if rows.size and not (rows.min() >= -1 and rows.max() <= 1):
        raise OutOfRangeError(
            f"Differences must lie in [-1, 1], found {rows.min()} to {rows.max()}; "
            "clip and scale the losses first."
        )
    logs, peak = np.array(wealth.logs), wealth.peak
    for start in range(0, rows.size, _CHUNK):
        path = _log_path(logs, rows[start : start + _CHUNK], margin)
        logs = path[-1]
        peak = max(peak, float(_log_mean(path).max()))
    return Wealth(tuple(logs.tolist()), peak, wealth.seen + rows.size)


def counted(bad: int, of: int, budget: float) -> float:
    """Return the wealth against "at most a share ``budget`` is bad" after ``of`` yes-or-no rows.

    For such rows the wealth of :func:`update` does not depend on their order, so that two counts
    are all there is to keep. Look at it as often as you like: where the share is at most
    ``budget``, it reaches ``1 / alpha`` with probability at most ``alpha``.

    Raises:
        OutOfRangeError: if the budget is not in [0, 1) or more are bad than there are.

    Example:
        >>> round(counted(10, 100, budget=0.01))
        7

    Source: as :func:`update`.
    """
    if not 0 <= budget < 1:
        raise OutOfRangeError(f"A budget is at least 0 and below 1, found {budget}.")
    if not 0 <= bad <= of:
        raise OutOfRangeError(f"{bad} of {of} cannot be bad.")
    return binned([1.0, 0.0], [bad, of - bad], budget)


def binned(values: npt.ArrayLike, counts: npt.ArrayLike, limit: float) -> float:
    """Return the wealth against "the mean is at most ``limit``" from how often each value came.

    ``values`` are in [0, 1], shape (bins,), ``counts`` how many rows had each. As the bets are
    fixed, the wealth of :func:`update` does not depend on the order of rows. With the lower
    edges of bins for values it is at most what the rows themselves would give.

    Raises:
        OutOfRangeError: if a value is not in [0, 1], a count negative or the limit not in [0, 1).

    Example:
        >>> round(binned([0.0, 0.5], [50, 50], limit=0.1))
        61

    Source: as :func:`update`.
    """
    rows, often = np.asarray(values, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if not 0 <= limit < 1:
        raise OutOfRangeError(f"A limit is at least 0 and below 1, found {limit}.")
    if rows.size and not (rows.min() >= 0 and rows.max() <= 1 and often.min() >= 0):
        raise OutOfRangeError("Values lie in [0, 1] and counts are 0 or more.")
    steps = np.log1p(np.outer((rows - limit) / (1 + limit), _BETS))
    return _exp(float(_log_mean((often @ steps)[None, :])[0]))


# Shares above a budget that are betted on, as parts of the way from it to 1; close to 1 too,
# where what happens always is told from what happens nearly always.
_ABOVE = np.array([1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 15 / 16, 63 / 64, 255 / 256])


def above(hits: int, of: int, budget: float) -> float:
    """Return the wealth against "at most a share ``budget`` hits" after ``of`` yes-or-no rows.

    As :func:`counted`, but made for budgets near 1: it mixes the likelihood ratios of eight
    larger shares, so that what always hits is told from a budget of 0.95 in some 150 rows. As
    each of these shares is larger, a row of which the share is at most the budget wins nothing
    on average, so it reaches ``1 / alpha`` with probability at most ``alpha`` at any time.

    Raises:
        OutOfRangeError: if the budget is not in (0, 1) or more hit than there are.

    Example:
        >>> above(100, 100, budget=0.95) < 100 < above(150, 150, budget=0.95)
        True

    Source: Wald, Sequential Analysis (1947), the likelihood ratio; Ville's inequality for the
    mixture, as in Ramdas et al., Game-theoretic statistics and safe anytime-valid inference,
    Statistical Science 38 (2023).
    """
    if not 0 < budget < 1:
        raise OutOfRangeError(f"A budget lies between 0 and 1, found {budget}.")
    if not 0 <= hits <= of:
        raise OutOfRangeError(f"{hits} of {of} cannot hit.")
    shares = budget + (1 - budget) * _ABOVE
    logs = hits * np.log(shares / budget) + (of - hits) * np.log((1 - shares) / (1 - budget))
    return _exp(float(_log_mean(logs[None, :])[0]))


def value(wealth: Wealth) -> float:
    """Return the wealth now: 1 at the start, large when the evidence is strong."""
    return _exp(float(_log_mean(np.array(wealth.logs)[None, :])[0]))


def peak_value(wealth: Wealth) -> float:
    """Return the highest wealth so far; ``1 / peak_value`` is a p-value valid at any time."""
    return _exp(wealth.peak)


def crossed(wealth: Wealth, alpha: float) -> bool:
    """Return whether the wealth ever reached ``1 / alpha``; once it has, it stays decided.

    If there is no difference above the margin, this becomes true with probability at most
    ``alpha`` over the whole life of the wealth.

    Raises:
        OutOfRangeError: if alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise OutOfRangeError(f"alpha must lie between 0 and 1, found {alpha}.")
    return wealth.peak >= -math.log(alpha)


def lower_bound(differences: npt.ArrayLike, alpha: float = 0.05) -> float:
    """Return a bound that the mean difference exceeds with confidence 1 - alpha, for display.

    Valid at any time, as it asks which margins the wealth has refuted by now; needs all
    differences since the start, and some forty passes over them. -1 if nothing is refuted.

    Raises:
        OutOfRangeError: if a difference is outside [-1, 1] or alpha not between 0 and 1.

    Source: as :func:`update`, by inverting the test.
    """
    rows = np.asarray(differences, dtype=np.float64).ravel()
    low, high = -1.0, 1.0
    for _ in range(40):
        margin = (low + high) / 2
        if crossed(update(Wealth(), rows, margin), alpha):
            low = margin
        else:
            high = margin
    return low


@dataclass(frozen=True, slots=True)
class EDetector:
    """A watch over losses in [0, 1] for a mean above ``base``.

    ``base`` is the reference loss plus the tolerated margin, strictly between 0 and 1.
    ``run_length`` is the least mean number of labels between false alarms: larger is quieter
    and slower. ``logs`` is the log of 1 + evidence of each bet, ``seen`` the losses so far,
    ``alarms`` how often it alarmed. Start one with ``EDetector(base=0.1)``.

    Source: Shin, Ramdas and Rinaldo, E-detectors: a nonparametric framework for sequential
    change detection (arXiv 2203.03532); the Shiryaev-Roberts form with a mixture of bets.
    """

    base: float
    run_length: float = 20_000.0
    logs: tuple[float, ...] = (0.0,) * len(SHIFTS)
    seen: int = 0
    alarms: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.base < 1 and self.run_length > 1):
            raise OutOfRangeError(
                "A detector needs a base between 0 and 1 and a run length above 1, found "
                f"{self.base} and {self.run_length}."
            )

    def update(self, losses: npt.ArrayLike, weight: float = 1.0) -> tuple["EDetector", int | None]:
        """Return the detector after more losses, and where among them it first alarmed, if so.

        ``weight``, above 0 and at most 1, is for how much of an independent loss each counts: 1
        over the design effect, where neighbours are alike. A bet raised to a power below 1
        wins no more on average, so the run length holds with any weight.

        The index counts from 0 within ``losses``. After an alarm the detector starts afresh
        with the next loss; further alarms in the same batch only count in ``alarms``.

        Raises:
            OutOfRangeError: if a loss is missing or outside [0, 1], or the weight not in (0, 1].

        Example:
            >>> EDetector(base=0.1, run_length=1000).update([0.0] * 50 + [1.0] * 50)[1]
            56
        """
        rows = np.asarray(losses, dtype=np.float64).ravel()
        if rows.size and not (rows.min() >= 0 and rows.max() <= 1):
            raise OutOfRangeError(
                f"Losses must lie in [0, 1], found {rows.min()} to {rows.max()}."
            )
        _check_weight(weight)
        detector, first, done = self, None, 0
        while done < rows.size:
            detector, taken, alarmed = _watch(detector, rows[done : done + _WATCHED], weight)
            done += taken
            if alarmed and first is None:
                first = done - 1
        return detector, first

    @property
    def evidence(self) -> float:
        """Return the evidence so far that the mean is above the base; it alarms at run_length."""
        return max(_exp(float(_log_mean(np.array(self.logs)[None, :])[0])) - 1.0, 0.0)

    def to_list(self) -> list[float]:
        """Return the state as plain numbers, for storing."""
        return [self.base, self.run_length, float(self.seen), float(self.alarms), *self.logs]

    @staticmethod
    def from_list(numbers: Sequence[float]) -> "EDetector":
        """Return the state that :meth:`to_list` stored.

        Raises:
            ShapesDifferError: if the list was not made for these bets.
        """
        if len(numbers) != len(SHIFTS) + 4:
            raise ShapesDifferError(
                f"A stored detector has {len(SHIFTS) + 4} numbers, found {len(numbers)}."
            )
        base, run_length, seen, alarms, *logs = numbers
        return EDetector(base, run_length, tuple(logs), int(seen), int(alarms))


def follow_rise(
    scores: Sequence[float], losses: npt.ArrayLike, base: float, weight: float = 1.0
) -> tuple[list[float], list[int]]:
    """Return how strongly each bet of a detector speaks for a rise, and where its rise began.

    ``scores`` are those of the losses before, zeros at the start; ``weight`` is as in
    :meth:`EDetector.update`. The second list holds, for
    each bet, the index in ``losses`` of the first loss of the rise: -1 if it began before them,
    their number if there is none at the end. The bet with the largest score at an alarm is the
    one to ask when the mean rose.

    Raises:
        OutOfRangeError: if a loss is missing or outside [0, 1], or the weight not in (0, 1].
        ShapesDifferError: if there is not one score for each bet.

    Example:
        >>> follow_rise([0.0] * 5, [0.0] * 50 + [1.0] * 10, base=0.1)[1]
        [50, 50, 50, 50, 50]

    Source: Page, Continuous inspection schemes, Biometrika 41 (1954): where the cumulative sum
    was lowest is the likeliest place of the change.
    """
    rows = np.asarray(losses, dtype=np.float64).ravel()
    if rows.size and not (rows.min() >= 0 and rows.max() <= 1):
        raise OutOfRangeError(f"Losses must lie in [0, 1], found {rows.min()} to {rows.max()}.")
    _check_weight(weight)
    if len(scores) != len(SHIFTS):
        raise ShapesDifferError(f"There are {len(SHIFTS)} bets, found {len(scores)} scores.")
    if rows.size == 0:
        return list(scores), [-1] * len(SHIFTS)
    steps = np.log1p(np.outer(rows - base, _rise_bets(base)))
    path = np.cumsum(weight * steps, axis=0) + scores
    lowest = path.min(axis=0)
    last = rows.size - 1 - path[::-1].argmin(axis=0)  # the last of equal ones
    begun = np.where(lowest > 0, -1, last + 1)
    return (path[-1] - np.minimum(lowest, 0.0)).tolist(), begun.tolist()


def _check_weight(weight: float) -> None:
    if not 0 < weight <= 1:
        raise OutOfRangeError(f"A weight lies above 0 and at most at 1, found {weight}.")


def _watch(detector: EDetector, rows: Floats, weight: float) -> tuple[EDetector, int, bool]:
    """Feed rows up to the first alarm; return the new state, the rows taken, whether it did."""
    # M_t = (M_(t-1) + 1) f_t, unrolled so that numpy can run it: with C the running sum of
    # log f, log M_t = C_t + log(1 + M_0 + sum over s from 1 to t-1 of exp(-C_s)).
    steps = np.log1p(np.outer(rows - detector.base, _rise_bets(detector.base)))
    risen = np.cumsum(weight * steps, axis=0)
    started = np.vstack((np.array(detector.logs), -risen[:-1]))
    path = risen + np.logaddexp.accumulate(started, axis=0)
    above = np.flatnonzero(_log_mean(path) >= math.log(detector.run_length))
    if above.size:
        taken = int(above[0]) + 1
        fresh = EDetector(detector.base, detector.run_length)
        seen, alarms = detector.seen + taken, detector.alarms + 1
        return replace(fresh, seen=seen, alarms=alarms), taken, True
    logs = tuple(np.logaddexp(0.0, path[-1]).tolist())
    return replace(detector, logs=logs, seen=detector.seen + rows.size), rows.size, False


def _rise_bets(base: float) -> Floats:
    # For a 0/1 loss the fastest growing bet on a rise by d is d / (b (1 - b)). Half the way
    # to 1 is the largest rise betted on, so that no single loss can take all the wealth.
    rises = np.minimum(np.array(SHIFTS), (1 - base) / 2)
    return np.asarray(rises / (base * (1 - base)), dtype=np.float64)


def _log_path(logs: Floats, rows: Floats, margin: float) -> Floats:
    """The log-wealth of every bet after every row, shape (rows, bets)."""
    # Divided by the largest possible loss, or a bet could lose more than it has.
    gains = (rows - margin) / (1 + max(margin, 0.0))
    steps = np.log1p(np.outer(gains, _BETS))
    steps[0] += logs
    return np.cumsum(steps, axis=0)


def _log_mean(logs: Floats) -> Floats:
    """The log of the mean wealth of the bets, row by row, without overflow."""
    highest = logs.max(axis=1, keepdims=True)
    return np.asarray(highest[:, 0] + np.log(np.exp(logs - highest).mean(axis=1)))


def _exp(log: float) -> float:
    return math.exp(log) if log < 700 else math.inf
