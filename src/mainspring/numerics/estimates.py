"""Estimate how good a model is on rows whose truth is not known yet.

All of it assumes that the relation between inputs and target has not changed since the rows
with known truth were seen. Where it has, every estimate here is too good: they are an early
warning about *which rows* are asked now, and never a measurement.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.calibration import Isotonic, isotonic
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.intervals import CONFIDENCE, Interval
from mainspring.numerics.quantiles import student_quantile, two_sided_z

Floats = npt.NDArray[np.float64]
_CLIP = 1e-15


@dataclass(frozen=True, slots=True)
class Expected:
    """What quality calibrated probabilities promise; None where the rows do not define it."""

    accuracy: Interval
    brier: Interval
    log_loss: Interval
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


def calibrate(scores: npt.ArrayLike, target: npt.ArrayLike) -> Isotonic:
    """Return the calibration to be used by :func:`cbpe`, kept away from 0 and 1.

    Learnt on rows with known truth. A step whose rows were all of one class would promise an
    answer that is never wrong; its value is that of half an observation more (Laplace).

    Raises:
        as :func:`mainspring.numerics.calibration.isotonic`.
    """
    found = isotonic(scores, target)
    rows = np.asarray(target).size
    edge = 0.5 / (rows + 1)
    return Isotonic(found.x, np.clip(found.y, edge, 1 - edge))


def cbpe(
    probabilities: npt.ArrayLike,
    scores: npt.ArrayLike | None = None,
    threshold: float = 0.5,
    confidence: float = CONFIDENCE,
) -> Expected:
    """Return the quality that binary answers have if ``probabilities`` are right.

    ``probabilities`` are calibrated, ``scores`` are what the model said (by default the same):
    a row is called positive where its score reaches ``threshold``, and ranked by it. Each row
    counts as a positive by its probability and as a negative by the rest. The intervals say
    what the draw of so many rows alone allows, given that the probabilities are right.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError: if the two do not have the same rows.
        OutOfRangeError: if a probability is not in [0, 1] or a score is missing.

    Example:
        >>> found = cbpe([0.9, 0.2])
        >>> round(found.accuracy.estimate, 2), round(found.precision, 2), round(found.recall, 3)
        (0.85, 0.9, 0.818)

    Source: NannyML, Confidence-based performance estimation (documentation of 0.13, "How CBPE
    works"); Bialek et al., arXiv 2401.08348, section 3.
    """
    p = _probabilities(probabilities)
    said = p if scores is None else np.asarray(scores, dtype=np.float64).ravel()
    if said.size != p.size:
        raise ShapesDifferError(f"{said.size} scores for {p.size} probabilities.")
    if np.isnan(said).any():
        raise OutOfRangeError("A missing score cannot be estimated on; leave such rows out.")
    yes = said >= threshold
    right = np.where(yes, p, 1 - p)
    caught, false = float(p[yes].sum()), float((1 - p)[yes].sum())
    missed = float(p[~yes].sum())
    precision = caught / (caught + false) if caught + false > 0 else None
    recall = caught / (caught + missed) if caught + missed > 0 else None
    both = 2 * caught + false + missed
    spoken = np.clip(said, 0.0, 1.0)
    inside = np.clip(spoken, _CLIP, 1 - _CLIP)
    surprise = (-np.log(inside), -np.log(1 - inside))
    return Expected(
        accuracy=_promised(right, right * (1 - right), confidence),
        brier=_two(p, (1 - spoken) ** 2, spoken**2, confidence),
        log_loss=_two(p, *surprise, confidence),
        precision=precision,
        recall=recall,
        f1=2 * caught / both if both > 0 else None,
        auc=expected_auc(p, said),
    )


def expected_auc(probabilities: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Return the AUC of scores whose rows are positive by their probability; None if undefined.

    The chance that a row drawn by its probability of being positive scores above one drawn by
    its probability of being negative, ties counting half.

    Raises:
        TooFewError, OutOfRangeError: as :func:`cbpe`.

    Example:
        >>> round(expected_auc([0.9, 0.2], [0.9, 0.2]), 3)
        0.854

    Source: the area under NannyML's expected ROC curve, by trapezoids over distinct scores.
    """
    p = _probabilities(probabilities)
    _, at = np.unique(np.asarray(scores, dtype=np.float64).ravel(), return_inverse=True)
    positive = np.bincount(at, weights=p)
    negative = np.bincount(at, weights=1 - p)
    pairs = float(positive.sum() * negative.sum())
    if pairs <= 0:
        return None
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum()) / pairs


def expected_share(shares: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the share of rows expected to be right, each with its own chance (multiclass CBPE).

    Raises:
        TooFewError, OutOfRangeError: as :func:`cbpe`.
    """
    p = _probabilities(shares)
    return _promised(p, p * (1 - p), confidence)


def atc(known: npt.ArrayLike, right: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """Return the accuracy expected now from average thresholded confidence.

    ``known`` is the model's confidence on rows with known truth, ``right`` whether it was right
    there (0 or 1), ``now`` its confidence on the rows to be estimated. The threshold is the one
    above which as many known rows lie as were right.

    Raises:
        TooFewError: if either has no row.
        ShapesDifferError: if known and right do not have the same rows.
        OutOfRangeError: if a confidence is missing.

    Example:
        >>> atc([0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1], [0.55, 0.95])
        0.5

    Source: Garg et al., Leveraging unlabeled data to predict out-of-distribution performance,
    ICLR 2022 (arXiv 2201.04234), equation 1.
    """
    before, hits, current = _confidences(known, right, now)
    wrong = before.size - round(float(hits.sum()))
    if wrong == 0:
        return 1.0
    line = float(np.sort(before)[wrong - 1])
    return float((current > line).mean())


def doc(known: npt.ArrayLike, right: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """Return the accuracy expected now from the difference of mean confidences, within [0, 1].

    Arguments and refusals as :func:`atc`.

    Example:
        >>> round(doc([0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1], [0.65, 0.75]), 2)
        0.7

    Source: Guillory et al., Predicting with confidence on unseen distributions, ICCV 2021: the
    difference of confidences, with a slope of 1.
    """
    before, hits, current = _confidences(known, right, now)
    moved = float(hits.mean()) + float(current.mean()) - float(before.mean())
    return min(max(moved, 0.0), 1.0)


def next_error(errors: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return where the next error of an estimator will lie, after these ones.

    ``errors`` are realised minus estimated of past windows, shape (windows,). The interval is
    that of one more of them (Student's prediction interval), not that of their mean.

    Raises:
        TooFewError: if there are fewer than three.
        OutOfRangeError: if one is missing.

    Example:
        >>> band = next_error([0.01, 0.02, 0.03])
        >>> round(band.estimate, 3), round(band.low, 3), round(band.high, 3)
        (0.02, -0.03, 0.07)

    Source: Hahn and Meeker, Statistical Intervals (1991), 4.7.
    """
    past = np.asarray(errors, dtype=np.float64).ravel()
    if past.size < 3:
        raise TooFewError(f"Past errors say something from three on, found {past.size}.")
    if not np.isfinite(past).all():
        raise OutOfRangeError("A past error is missing; leave its window out.")
    scatter = float(past.std(ddof=1)) * math.sqrt(1 + 1 / past.size)
    reach = student_quantile(0.5 + confidence / 2, past.size - 1) * scatter
    mean = float(past.mean())
    return Interval(mean, mean - reach, mean + reach, confidence, past.size)


def _promised(values: Floats, variances: Floats, confidence: float) -> Interval:
    """Return the mean of chances, and what the draw of each row by its own chance allows."""
    error = math.sqrt(float(variances.sum())) / values.size
    mean, z = float(values.mean()), two_sided_z(confidence)
    return Interval(mean, mean - z * error, mean + z * error, confidence, values.size)


def _two(p: Floats, if_yes: Floats, if_no: Floats, confidence: float) -> Interval:
    """Return the mean of a loss that is one of two numbers in each row."""
    expected = p * if_yes + (1 - p) * if_no
    return _promised(expected, p * (1 - p) * (if_yes - if_no) ** 2, confidence)


def _probabilities(values: npt.ArrayLike) -> Floats:
    p = np.asarray(values, dtype=np.float64).ravel()
    if p.size == 0:
        raise TooFewError("An estimate needs at least one row, found none.")
    if not (p.min() >= 0 and p.max() <= 1):
        raise OutOfRangeError(f"Probabilities lie in [0, 1], found {p.min()} to {p.max()}.")
    return p


def _confidences(
    known: npt.ArrayLike, right: npt.ArrayLike, now: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    before, hits, current = (
        np.asarray(part, dtype=np.float64).ravel() for part in (known, right, now)
    )
    if before.size != hits.size:
        raise ShapesDifferError(f"{before.size} confidences for {hits.size} answers.")
    if before.size == 0 or current.size == 0:
        raise TooFewError("An estimate needs rows with known truth and rows to be estimated.")
    if np.isnan(before).any() or np.isnan(current).any():
        raise OutOfRangeError("A missing confidence cannot be compared; leave such rows out.")
    return before, hits, current
