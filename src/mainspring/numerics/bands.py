"""Learn from a series what its next value should be, robustly and by the phase of its season."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A normal distribution's standard deviation over its median absolute deviation.
_MAD = 1.482602218505602
LEAST_PHASE = 4  #: values of the same phase
LEAST = 8  #: values in all


@dataclass(frozen=True, slots=True)
class Band:
    """Where the next value of a series is expected."""

    middle: float
    low: float
    high: float
    values: int  #: that it was learnt from


def expected_band(history: npt.ArrayLike, k: float, season: int = 1) -> Band | None:
    """Return where the value after ``history`` is expected, or None if it is too short.

    ``history`` holds values oldest first, shape (n,); NaN stands for one that is missing.
    The middle is the median of the values at the next one's phase (``season`` steps apart).
    The spread is the median absolute deviation of all values from the median of their own
    phase, scaled to a normal's standard deviation and for the degrees of freedom that the
    medians took; it is widened for the error of the middle itself. ``k`` is the half-width in
    such deviations. Up to almost half of the values may be outliers and move it little.

    Needed are at least 4 values at the next phase and 8 in all. A series that never moved has
    a band of its one value, wide enough for rounding only.

    Raises:
        ValueError: if ``k`` is not above 0 or ``season`` is below 1.

    >>> expected_band([10.0, 12.0, 10.0, 12.0, 10.0, 12.0, 10.0, 12.0], 3.0, season=2).middle
    10.0

    Source: Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993),
    section 1 (the factor 1.4826); the asymptotic variance of a normal's median, pi/2 of the
    mean's, widens the band for the error of its middle.
    """
    if not k > 0:
        raise ValueError(f"k must be above 0, found {k}.")
    if season < 1:
        raise ValueError(f"season must be 1 or more, found {season}.")
    values = np.asarray(history, dtype=np.float64).ravel()
    phases = np.arange(values.size) % season
    sound = np.isfinite(values)
    now = sound & (phases == values.size % season)
    if now.sum() < LEAST_PHASE or sound.sum() < LEAST:
        return None
    middle = float(np.median(values[now]))
    residuals, used = _residuals(values, phases, sound)
    spread = _MAD * float(np.median(np.abs(residuals)))
    if spread == 0.0:  # more than half are equal: what the others do still counts
        spread = 1.2533 * float(np.mean(np.abs(residuals)))
    free = max(residuals.size - used, 1)
    spread *= np.sqrt(residuals.size / free) * np.sqrt(1 + np.pi / 2 / now.sum())
    width = max(k * float(spread), 1e-9 * max(1.0, abs(middle)))
    return Band(middle, middle - width, middle + width, int(sound.sum()))


def _residuals(
    values: npt.NDArray[np.float64],
    phases: npt.NDArray[np.int64],
    sound: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], int]:
    """Return what values differ from the median of their phase, and how many phases that were."""
    parts, used = [], 0
    for phase in np.unique(phases[sound]):
        mine = values[sound & (phases == phase)]
        if mine.size >= LEAST_PHASE:
            parts.append(mine - np.median(mine))
            used += 1
    return np.concatenate(parts), used


def change_point(values: npt.ArrayLike) -> tuple[int, float] | None:
    """Return where the level of a series changed most, and how surely; None if it is too short.

    ``values``, shape (n,), NaN left out of the count. The place is the index of the first value
    of the later part; at least two values stand on each side. The second figure is the CUSUM
    statistic over the robust spread, max over places t of sqrt(t(n-t)/n) |mean after - mean
    before| / sd; about 3 and more is unlikely by chance for series of up to some hundred
    values.

    >>> change_point([0.0, 0.1, 0.0, 0.1, 5.0, 5.1, 5.0, 5.1])[0]
    4

    Source: Page's CUSUM in the form of Csorgo and Horvath, Limit Theorems in Change-Point
    Analysis (1997), section 2.1, with the spread taken from first differences.
    """
    every = np.asarray(values, dtype=np.float64).ravel()
    places = np.flatnonzero(np.isfinite(every))
    found = every[places]
    n = found.size
    if n < 4:
        return None
    steps = np.abs(np.diff(found))
    spread = _MAD * float(np.median(steps)) / np.sqrt(2)
    if spread == 0.0:
        spread = float(np.mean(steps)) or 1.0
    total, first = found.sum(), np.cumsum(found)
    t = np.arange(2, n - 1)
    gaps = np.abs((total - first[t - 1]) / (n - t) - first[t - 1] / t)
    scores = np.sqrt(t * (n - t) / n) * gaps / spread
    best = int(np.argmax(scores))
    return int(places[t[best]]), float(scores[best])
