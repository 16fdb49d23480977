"""Say whether probabilities mean what they say, how far they are off, and what would mend them.

Probabilities and targets (0 or 1) have shape (rows,). For several classes give the probability
of the class that was said and whether it was right, or one class against the rest.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)
from mainspring.numerics.intervals import CONFIDENCE, Interval, mean_interval
from mainspring.numerics.quantiles import two_sided_z

Floats = npt.NDArray[np.float64]

#: Bins of about as many rows each, as Naeini, Cooper and Hauskrecht (AAAI 2015) have them.
BINS = 15
# A logit of 0 or 1 is infinite; 1e-6 is the surest that some 20,000 held-out rows can bear out.
_CLIP = 1e-6
# From so many rows a bin's count of positives is close enough to normal to be drawn as such.
_NORMAL_FROM = 200


def calibration_in_the_large(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return mean(target - probability) with its interval; above 0 the model says too little.

    If the interval leaves out 0 the base rate has probably moved, which a refit of two numbers
    repairs more cheaply than a retraining.

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


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of neighbouring probabilities: how many, what was said on average, what came."""

    rows: int
    said: float
    came: float


def reliability(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, bins: int = BINS
) -> list[Bin]:
    """Return the bins of a reliability diagram, from low to high, of about as many rows each.

    Equal probabilities share a bin, so there may be fewer bins than asked for.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError, OutOfRangeError: if the rows are not probabilities with 0 or 1.

    Example:
        >>> [(b.rows, b.said, b.came) for b in reliability([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], 2)]
        [(2, 0.1, 0.0), (2, 0.8, 0.5)]
    """
    said, came = _rows(probabilities, target)
    at, count = _bins_of(said, bins)
    rows = np.bincount(at, minlength=count)
    means = [np.bincount(at, weights=part, minlength=count) / rows for part in (said, came)]
    return [
        Bin(int(n), float(p), float(y)) for n, p, y in zip(rows, means[0], means[1], strict=True)
    ]


def ece(probabilities: npt.ArrayLike, target: npt.ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean of |said - came| over the bins, by rows.

    Above 0 even for a calibrated model, by about sqrt(bins / rows): compare it with
    :func:`ece_of_calibrated`.

    Raises:
        as :func:`reliability`.

    Example:
        >>> round(ece([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], 2), 3)
        0.2

    Source: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using
    Bayesian binning, AAAI 2015; equal-mass bins.
    """
    found = reliability(probabilities, target, bins)
    total = sum(one.rows for one in found)
    return sum(one.rows * abs(one.said - one.came) for one in found) / total


def ece_of_calibrated(
    probabilities: npt.ArrayLike, bins: int = BINS, repeats: int = 200, seed: int = 0
) -> Floats:
    """Return the errors that a calibrated model with these probabilities would show, sorted.

    Shape (repeats,): each is the :func:`ece` of targets drawn by the probabilities themselves.
    What lies inside of them is chance. Bins of 200 rows and more are drawn as normal numbers of
    the right mean and variance, so that a million rows take no longer than a thousand.

    Raises:
        as :func:`reliability`.
    """
    said, _ = _rows(probabilities, np.zeros(np.shape(probabilities)))
    at, count = _bins_of(said, bins)
    rows = np.bincount(at, minlength=count)
    rng = np.random.default_rng(seed)
    mean = np.bincount(at, weights=said, minlength=count)
    scatter = np.sqrt(np.bincount(at, weights=said * (1 - said), minlength=count))
    gaps = np.abs(rng.standard_normal((repeats, count)) * scatter)
    for place in np.flatnonzero(rows < _NORMAL_FROM).tolist():
        mine = said[at == place]
        drawn = (rng.random((repeats, mine.size)) < mine).sum(axis=1)
        gaps[:, place] = np.abs(drawn - mean[place])
    return np.asarray(np.sort(gaps.sum(axis=1) / said.size), dtype=np.float64)


def ece_interval(
    probabilities: npt.ArrayLike,
    target: npt.ArrayLike,
    confidence: float = CONFIDENCE,
    bins: int = BINS,
    repeats: int = 400,
    seed: int = 0,
) -> Interval:
    """Return the :func:`ece` of rows with the ends between which that of the model lies.

    Chance alone moves each bin's rate; how far is drawn from the rates that came (with half a row
    of each kind more, so that a bin where all came alike is not certain). The error seen and the
    error of the model differ by at most the mean of these moves, by the triangle inequality, so
    an interval that reaches their quantile either way holds the model's own: it is never too
    narrow, and wide where rows are few. ``n`` counts rows.

    Raises:
        as :func:`reliability`.

    Example:
        >>> band = ece_interval([0.9] * 400, [1, 0] * 200)
        >>> round(band.estimate, 2), 0.3 < band.low < 0.4 < band.high < 0.5
        (0.4, True)
    """
    said, came = _rows(probabilities, target)
    at, count = _bins_of(said, bins)
    rows = np.bincount(at, minlength=count)
    rate = (np.bincount(at, weights=came, minlength=count) + 0.5) / (rows + 1)
    rng = np.random.default_rng(seed)
    moves = np.abs(rng.binomial(rows, rate, (repeats, count)) - rows * rate).sum(axis=1)
    reach = float(np.quantile(moves, (1 + confidence) / 2)) / said.size
    seen = ece(said, came, bins)
    return Interval(seen, max(seen - reach, 0.0), min(seen + reach, 1.0), confidence, said.size)


@dataclass(frozen=True, slots=True)
class BrierParts:
    """A Brier score taken apart: reliability - resolution + uncertainty + within = brier."""

    brier: float
    reliability: float  # how far said and came are apart, in the bins; 0 is calibrated
    resolution: float  # how far the bins' rates lie from the mean rate; more is better
    uncertainty: float  # the scatter of the target alone; nothing of the model
    within: float  # what differs inside of the bins; 0 where each holds one probability


def brier_parts(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, bins: int = BINS
) -> BrierParts:
    """Take a Brier score apart into reliability, resolution and uncertainty.

    Raises:
        as :func:`reliability`.

    Example:
        >>> parts = brier_parts([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], 2)
        >>> round(parts.reliability, 3), round(parts.resolution, 4), parts.uncertainty
        (0.05, 0.0625, 0.1875)

    Source: Murphy, A new vector partition of the probability score, Journal of Applied
    Meteorology 12 (1973); the rest within bins as in Stephenson, Coelho and Jolliffe (2008).
    """
    said, came = _rows(probabilities, target)
    found = reliability(said, came, bins)
    rate = float(came.mean())
    brier = float(((said - came) ** 2).mean())
    apart = sum(one.rows * (one.said - one.came) ** 2 for one in found) / said.size
    resolved = sum(one.rows * (one.came - rate) ** 2 for one in found) / said.size
    unsure = rate * (1 - rate)
    return BrierParts(brier, apart, resolved, unsure, brier - (apart - resolved + unsure))


@dataclass(frozen=True, slots=True)
class Platt:
    """The line that best turns logit(said) into logit(came): 0 and 1 for a calibrated model."""

    intercept: float
    slope: float
    intercept_error: float  # standard errors
    slope_error: float

    def at(self, probabilities: npt.ArrayLike) -> Floats:
        """Return the probabilities repaired by this line."""
        logits = self.intercept + self.slope * _logit(np.asarray(probabilities, dtype=np.float64))
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -700, 700))), dtype=np.float64)

    def intervals(self, confidence: float = CONFIDENCE) -> tuple[Interval, Interval]:
        """Return the interval of the intercept and that of the slope."""
        z = two_sided_z(confidence)
        parts = ((self.intercept, self.intercept_error), (self.slope, self.slope_error))
        first, second = (Interval(v, v - z * e, v + z * e, confidence, 0) for v, e in parts)
        return first, second


def platt(probabilities: npt.ArrayLike, target: npt.ArrayLike) -> Platt:
    """Return the intercept and slope of logit(target) on logit(probability), with their errors.

    An intercept off 0 with a slope of 1 is a moved base rate; a slope below 1 is a model that
    is too sure of itself.

    Raises:
        OneClassError: if all targets are the same, so that the line has no end.
        TooFewError: if there are fewer than three rows, or the classes can be told apart
            without an error (then the slope has no end either).
        ShapesDifferError, OutOfRangeError: as :func:`reliability`.

    Source: Cox, Two further applications of a model for binary regression, Biometrika 45
    (1958); Platt (1999). The maximum likelihood by Newton steps, as
    sklearn.linear_model.LogisticRegression without a penalty.
    """
    said, came = _rows(probabilities, target)
    if came.min() == came.max():
        raise OneClassError(f"A line needs both classes; all {came.size} rows are of one.")
    if came.size < 3:
        raise TooFewError(f"A line needs at least 3 rows, found {came.size}.")
    logits = _logit(said)
    if np.ptp(logits) < 1e-9:  # one probability: only the base rate can be fitted
        rate = float(came.mean())
        error = 1 / math.sqrt(came.size * rate * (1 - rate))
        return Platt(math.log(rate / (1 - rate)) - float(logits[0]), 1.0, error, math.inf)
    design = np.column_stack([np.ones_like(logits), logits])
    line = np.array([0.0, 1.0])
    best = _surprise(design, line, came)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(design @ line, -700, 700)))
        curve = design.T @ (design * (chance * (1 - chance))[:, None])
        step = np.linalg.pinv(curve) @ (design.T @ (came - chance))
        while _surprise(design, line + step, came) > best + 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2  # a full step may overshoot where the rows are nearly told apart
        line = line + step
        best = _surprise(design, line, came)
        if np.abs(step).max() < 1e-10:
            break
    if not np.isfinite(line).all() or np.abs(line).max() > 1e4 or best < 1e-6:
        raise TooFewError("The classes are told apart without an error: the slope has no end.")
    errors = np.sqrt(np.clip(np.diag(np.linalg.pinv(curve)), 0, None))
    return Platt(float(line[0]), float(line[1]), float(errors[0]), float(errors[1]))


@dataclass(frozen=True, slots=True)
class Repair:
    """What refitting two numbers would change: the line, and the Brier score before and after."""

    line: Platt
    before: float
    after: float
    gain: Interval  # before - after, on rows that the line was not fitted on


def platt_repair(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Repair:
    """Return what a Platt refit would gain, measured on rows that it was not fitted on.

    Every other row fits the line that repairs the rest, and the other way round. Rows should
    come in an order that has nothing to do with the target, such as that of their time.

    Raises:
        as :func:`platt`, for either half of the rows.
    """
    said, came = _rows(probabilities, target)
    even = np.arange(said.size) % 2 == 0
    mended = said.copy()
    for fit, use in ((even, ~even), (~even, even)):
        mended[use] = platt(said[fit], came[fit]).at(said[use])
    before, after = (said - came) ** 2, (mended - came) ** 2
    gain = mean_interval(before - after, confidence)
    return Repair(platt(said, came), float(before.mean()), float(after.mean()), gain)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising step function with straight lines between its knots."""

    x: Floats  # knots, rising
    y: Floats  # their values, rising

    def at(self, scores: npt.ArrayLike) -> Floats:
        """Return the value at each score; outside of the knots that of the nearest one."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.x, self.y)


def isotonic(scores: npt.ArrayLike, target: npt.ArrayLike) -> Isotonic:
    """Return the rising function of the score that lies nearest to the target.

    Both have shape (rows,); the order of rows does not matter. On probabilities with 0 or 1 it
    is a calibration that takes nothing for granted but that more means more.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError: if the two do not have the same rows.
        OutOfRangeError: if a number is missing.

    Example:
        >>> found = isotonic([0.1, 0.2, 0.3], [0.0, 1.0, 0.5])
        >>> found.at([0.1, 0.25, 0.9]).tolist()
        [0.0, 0.75, 0.75]

    Source: pool adjacent violators, Barlow et al., Statistical inference under order
    restrictions (1972); as sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ShapesDifferError(f"{x.shape} scores for a target of {y.shape}.")
    if x.size == 0:
        raise TooFewError("A rising function needs at least one row, found none.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise OutOfRangeError("Scores and targets must be finite; leave missing rows out first.")
    knots, at, rows = np.unique(x, return_inverse=True, return_counts=True)
    sums = np.bincount(at, weights=y)
    totals: list[float] = []
    weights: list[int] = []
    firsts: list[int] = []
    for place, (mine, count) in enumerate(zip(sums.tolist(), rows.tolist(), strict=True)):
        total, weight, first = mine, count, place
        # A block that does not lie above the one before it is pooled with it.
        while totals and totals[-1] * weight >= total * weights[-1]:
            total, weight, first = total + totals.pop(), weight + weights.pop(), firsts.pop()
        totals.append(total)
        weights.append(weight)
        firsts.append(first)
    means = np.array(totals) / np.array(weights)
    ends = [*(first - 1 for first in firsts[1:]), knots.size - 1]
    places = np.unique(np.array([firsts, ends]).ravel())
    return Isotonic(knots[places], means[np.searchsorted(firsts, places, side="right") - 1])


def _surprise(design: Floats, line: Floats, came: Floats) -> float:
    logits = design @ line
    return float((np.logaddexp(0.0, logits) - came * logits).mean())


def _logit(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)


def _bins_of(said: Floats, bins: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the bin of every row, and how many bins have a row."""
    if bins < 1:
        raise OutOfRangeError(f"There is at least one bin, found {bins}.")
    edges = np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
    _, at = np.unique(np.searchsorted(edges, said, side="right"), return_inverse=True)
    return at.astype(np.int64), int(at.max()) + 1


def _rows(probabilities: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    said = np.asarray(probabilities, dtype=np.float64)
    came = np.asarray(target, dtype=np.float64)
    if said.ndim != 1 or said.shape != came.shape:
        raise ShapesDifferError(f"{said.shape} probabilities for a target of {came.shape}.")
    if said.size == 0:
        raise TooFewError("Calibration needs at least one row, found none.")
    if not (said.min() >= 0 and said.max() <= 1 and np.isin(came, (0.0, 1.0)).all()):
        raise OutOfRangeError("Calibration needs probabilities in [0, 1] and targets 0 or 1.")
    return said, came
