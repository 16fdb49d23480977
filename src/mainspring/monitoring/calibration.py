"""Say whether a version's probabilities still mean what they say, and what would mend them.

The alarm is on calibration in the large, mean(truth - probability): it must be certain, beyond
what chance explains in time-ordered labels, and beyond two points. The rest is shown: slope and
intercept, the parts of the Brier score, the expected calibration error beside that of a
calibrated model, and how much a refit of two numbers would gain, which is cheaper than a
retraining where only the base rate has moved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Finding
from mainspring.monitoring.graded import (
    BLOCKS,
    CERTAIN_EFFECT,
    LONG_BLOCKS,
    Graded,
    design_effect,
    graded,
    graded_reference,
    rise_reach,
    stretches_of,
)
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics.calibration import (
    Platt,
    Repair,
    brier_parts,
    ece,
    ece_of_calibrated,
    platt,
    platt_repair,
    reliability,
)
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.intervals import Interval, mean_interval

Floats = npt.NDArray[np.float64]

#: A mean probability that is off by less matters to nobody.
MATERIAL = 0.02
#: A calibration error beyond chance by less matters to nobody.
MATERIAL_ECE = 0.02
#: Classes whose own probability is looked at beside that of the class that was said.
_MOST_CLASSES = 10


def calibration(sight: Sight) -> list[Finding]:
    """Return the calibration of a window's probabilities; nothing for regression.

    Several classes: the probability of the class that was said, and of each of the largest
    classes in the large.
    """
    if sight.joined is None or sight.signature.kind == "regression":
        return []
    own = graded(sight.joined.rows, sight.version, sight.signature)
    kept = graded_reference(sight.reference, sight.signature)
    if sight.signature.kind == "binary":
        before = None if kept is None else (kept.scores[:, 0], kept.truth)
        return _of(sight, own, own.scores[:, 0], own.truth, before, 1, "")
    asked = _classes(sight, own)
    found = []
    for suffix, number in asked:
        said, came = _chosen(own, number)
        before = None if kept is None else _chosen(kept, number)
        whole = _of(sight, own, said, came, before, len(asked), suffix)
        found += whole if number is None else whole[:1]
    return found


def _classes(sight: Sight, own: Graded) -> list[tuple[str, int | None]]:
    counts = np.bincount(own.truth.astype(np.int64), minlength=1)
    most = sorted(np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist())
    names = sight.signature.classes
    return [
        ("", None),
        *((f"/{names[n] if n < len(names) else n}", n) for n in most if counts[n]),
    ]


def _chosen(own: Graded, number: int | None) -> tuple[Floats, Floats]:
    """Return a class's probability and whether it came; with None those of the class said."""
    if number is not None:
        return own.scores[:, number], (own.truth == number).astype(np.float64)
    if own.rows == 0:
        return np.empty(0), np.empty(0)
    said = own.scores.argmax(axis=1)
    return own.scores.max(axis=1), (said == own.truth).astype(np.float64)


def _of(
    sight: Sight,
    own: Graded,
    said: Floats,
    came: Floats,
    before: tuple[Floats, Floats] | None,
    tested: int,
    suffix: str,
) -> list[Finding]:
    least = max(sight.policy.min_rows, 2)
    if own.rows < least:
        why = own.why or f"{own.rows:,} labelled rows of this version, {least:,} are needed."
        large = Finding(
            monitor="calibration",
            subject=f"in_the_large{suffix}",
            value=None,
            rows=own.rows,
            verdict="too few rows",
            why=f"Not judged: {why}",
        )
        return [large]
    alpha = alpha_of("calibration", sight.policy.alpha) / tested / 2  # too high or too low
    large = _in_the_large(said, came, before, alpha, suffix)
    return [large, *_shape(said, came, before, suffix)]


def _in_the_large(
    said: Floats, came: Floats, before: tuple[Floats, Floats] | None, alpha: float, suffix: str
) -> Finding:
    gaps = came - said
    gap = mean_interval(gaps)
    # What the version was off by at training is no news.
    old = None if before is None else before[1] - before[0]
    usual = 0.0 if old is None else float(old.mean())
    radius = rise_reach(gaps, old, alpha)
    if max(design_effect(gaps, blocks) for blocks in (BLOCKS, LONG_BLOCKS)) > CERTAIN_EFFECT:
        # A break in mid-window is for the loss to find; here all that stretches differ by counts.
        parts = [stretches_of(gaps.size, blocks) for blocks in (BLOCKS, LONG_BLOCKS)]
        radius = max(radius, *(rise_reach(gaps, old, alpha, part) for part in parts))
    moved = gap.estimate - usual
    off = abs(moved) > radius + MATERIAL
    repair, told = _repair(said, came)
    if off:
        side = "low" if moved > 0 else "high"
        why = (
            f"Probabilities are {abs(gap.estimate):.3f} too {side} on average ({said.mean():.3f}"
            f" was said, {came.mean():.3f} came) on {came.size:,} rows; {usual:+.3f} at"
            f" training, {radius + MATERIAL:.3f} more is tolerated. {told}"
        )
    else:
        why = f"{said.mean():.3f} was said on average and {came.mean():.3f} came."
    return Finding(
        monitor="calibration",
        subject=f"in_the_large{suffix}",
        value=gap.estimate,
        low=gap.low,
        high=gap.high,
        baseline=None if old is None else usual,
        line=MATERIAL,
        radius=radius,
        smallest=radius + MATERIAL,
        rows=int(came.size),
        verdict="alarm" if off else "quiet",
        why=why,
        detail={"repair": repair},
    )


def _repair(said: Floats, came: Floats) -> tuple[dict[str, Any] | None, str]:
    """Return what refitting two numbers would gain, and what to do in words."""
    try:
        found = platt_repair(said, came)
    except NumericsError as error:
        return None, f"A refit of two numbers cannot be judged: {error}"
    detail = {
        "intercept": found.line.intercept,
        "slope": found.line.slope,
        "brier_before": found.before,
        "brier_after": found.after,
        "gain": _plain(found.gain),
        "prior_shift": _prior_shift(found),
    }
    if found.gain.low <= 0:
        return detail, "A refit of two numbers would not certainly mend it."
    cause = "The base rate has moved" if _prior_shift(found) else "The scores are spread wrongly"
    return detail, (
        f"{cause}: refitting two numbers (Platt: intercept {found.line.intercept:+.2f}, slope"
        f" {found.line.slope:.2f}) takes the Brier score from {found.before:.4f} to"
        f" {found.after:.4f} on rows it was not fitted on, without a retraining."
    )


def _prior_shift(found: Repair) -> bool:
    """Return whether the intercept moved and the slope did not: all odds times one number."""
    intercept, slope = found.line.intervals()
    return bool((intercept.low > 0 or intercept.high < 0) and slope.low <= 1 <= slope.high)


def _shape(
    said: Floats, came: Floats, before: tuple[Floats, Floats] | None, suffix: str
) -> list[Finding]:
    bins = [[one.rows, one.said, one.came] for one in reliability(said, came)]
    error, simulated = ece(said, came), ece_of_calibrated(said)
    # The simulated model's rows are independent; where these are not, chance reaches further.
    effect = max(design_effect(came - said, blocks) for blocks in (BLOCKS, LONG_BLOCKS))
    wider = math.sqrt(effect) if effect > CERTAIN_EFFECT else 1.0
    beyond = wider * float(simulated[math.ceil(0.99 * simulated.size) - 1])
    parts = brier_parts(said, came)
    rows = int(came.size)
    off = error > beyond + MATERIAL_ECE
    found = [
        Finding(
            monitor="calibration",
            subject=f"ece{suffix}",
            value=error,
            baseline=None if before is None else ece(*before),
            radius=beyond,
            line=beyond + MATERIAL_ECE,
            rows=rows,
            verdict="notice" if off else "quiet",
            why=f"Said and came are {error:.3f} apart over the bins; a calibrated model would"
            f" show {float(simulated.mean()):.3f} on such rows, and one in a hundred"
            f" {beyond:.3f}.",
            detail={"bins": bins, "expected": float(simulated.mean()), "wider": wider},
        ),
        Finding(
            monitor="calibration",
            subject=f"reliability{suffix}",
            value=parts.reliability,
            baseline=None if before is None else brier_parts(*before).reliability,
            rows=rows,
            why="The part of the Brier score that is due to probabilities that do not hold.",
            detail={
                "brier": parts.brier,
                "resolution": parts.resolution,
                "uncertainty": parts.uncertainty,
                "within": parts.within,
            },
        ),
    ]
    return [*found, *_line(said, came, before, suffix)]


def _line(
    said: Floats, came: Floats, before: tuple[Floats, Floats] | None, suffix: str
) -> list[Finding]:
    def fitted(pair: tuple[Floats, Floats] | None) -> Platt | None:
        try:
            return None if pair is None else platt(*pair)
        except NumericsError:
            return None

    old = fitted(before)
    try:
        line = platt(said, came)
    except NumericsError as error:
        names = (f"slope{suffix}", f"intercept{suffix}")
        return [
            Finding(
                monitor="calibration",
                subject=name,
                value=None,
                rows=int(came.size),
                verdict="not judged",
                why=f"Not judged: {error}",
            )
            for name in names
        ]
    intercept, slope = line.intervals()
    told = {
        "slope": (slope, None if old is None else old.slope, "1 if right, below 1 if too sure."),
        "intercept": (intercept, None if old is None else old.intercept, "0 if right."),
    }
    return [
        Finding(
            monitor="calibration",
            subject=f"{name}{suffix}",
            value=band.estimate,
            low=_finite(band.low),
            high=_finite(band.high),
            baseline=usual,
            rows=int(came.size),
            why=why,
        )
        for name, (band, usual, why) in told.items()
    ]


def _plain(band: Interval) -> dict[str, float]:
    return {"estimate": band.estimate, "low": band.low, "high": band.high}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
