"""Say how old a model is, how fast models here grow stale, and when this one will be too old.

Age is event time since the newest row a version learnt from. Every window whose labels are
mature is a point of the staleness curve: the version's age then, and how far its loss had risen
above the loss of its own holdout. Versions before this one count too, so a new one is not
without a curve. The alarm is on a declared age (``max_age``), or on the curve: when even its lower
bound at the present age is above the loss that is tolerated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.ground.objects import DAY_S, Finding, MonitorPolicy, Window
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics.errors import TooFewError
from mainspring.numerics.staleness import Curve, fit


@dataclass(frozen=True, slots=True)
class Point:
    """One labelled window on the staleness curve."""

    version: int
    age_s: float
    rise: float  # loss of the window above that of the version's holdout
    rows: int
    window: str


def age_on_inputs(sight: Sight) -> list[Finding]:
    """Return the age of a window's version, and whether it is too old."""
    trained_until = sight.beside.trained_until
    if trained_until is None:
        why = "Not judged: it is not known until when the version's training rows reach."
        return [Finding(monitor="age", subject="age", value=None, verdict="not judged", why=why)]
    return [judged(sight.span[1] - trained_until, points_of(sight.earlier), sight.policy)]


def points_of(windows: Iterable[Window]) -> list[Point]:
    """Return the points that windows with mature labels are, oldest first."""
    found = []
    for window in windows:
        told = window.performance or {}
        loss, base = (told.get("loss") or {}).get("estimate"), told.get("baseline_loss")
        age = next((one for one in window.found if one.monitor == "age"), None)
        if loss is None or base is None or age is None or age.value is None:
            continue
        rows = int(told.get("rows") or 0)
        if rows > 0 and window.version is not None:
            found.append(
                Point(window.version, age.value * DAY_S, float(loss - base), rows, window.id)
            )
    return found[::-1]


def curve_of(points: Sequence[Point]) -> tuple[Curve | None, str]:
    """Return the staleness curve over days, or None and why there is none."""
    try:
        return fit(
            [one.age_s / DAY_S for one in points],
            [one.rise for one in points],
            [float(one.rows) for one in points],
        ), ""
    except TooFewError as error:
        return None, str(error)


def judged(age_s: float, points: Sequence[Point], policy: MonitorPolicy) -> Finding:
    """Return the finding of one age, in days, before what other windows say."""
    age = age_s / DAY_S
    told = [f"It is {age:.3g} days old"]
    verdict: Any = "quiet"
    detail: dict[str, Any] = {"points": len(points)}
    line = None if policy.max_age_s is None else policy.max_age_s / DAY_S
    if line is not None:
        told.append(f"{line:.3g} days are declared")
        verdict = "alarm" if age > line else verdict
    curve, why = curve_of(points)
    if curve is None:
        detail["curve"] = None
        told.append(f"no staleness curve yet: {why[:1].lower()}{why[1:].rstrip('.')}")
    else:
        crossing = curve.reaches(policy.loss_tolerance)
        low = curve.low(age, alpha_of("age", policy.alpha))
        detail["curve"] = {
            "start": curve.start,
            "per_day": curve.slope,
            "scatter": curve.scatter,
            "crossing_days": crossing,
            "expected_rise": curve.at(age),
            "least_rise": low,
            "tolerated_rise": policy.loss_tolerance,
        }
        told.append(
            f"by {curve.points} labelled windows its loss has risen by {curve.at(age):.4f}, at"
            f" least {low:.4f}; {policy.loss_tolerance:.4f} is tolerated"
        )
        if crossing is None:
            told.append("the curve does not rise")
        else:
            told.append(f"that much is lost at {crossing:.3g} days")
            line = crossing if line is None else min(line, crossing)
        # A line that does not rise says that models are bad here, and not that this one is old.
        if low > policy.loss_tolerance and curve.rises(alpha_of("age", policy.alpha)):
            verdict = "alarm"
    return Finding(
        monitor="age",
        subject="age",
        value=age,
        line=line,
        verdict=verdict,
        why=f"{'; '.join(told)}.",
        detail=detail,
    )
