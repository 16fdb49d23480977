"""Do probabilities mean what they say, within the bounds that were declared?

Only what is surely outside fails: the interval of the calibration error lies above its bound, or
that of the slope beside its range. Off unless declared, for a ranking need not be calibrated.
"""

from __future__ import annotations

import msgspec

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return one result for each bound; what could not be measured does not pass."""
    bounds, found = policy.calibration, inputs.measured.calibration
    if bounds is None:
        return []
    out = []
    if bounds.max_ece is not None:
        why = "no labelled fresh row" if found is None else found.why
        seen = found.ece if found is not None else None
        low = found.ece_low if found is not None else None
        high = found.ece_high if found is not None else None
        out.append(
            CheckResult(
                name="calibration error",
                passed=low is not None and low <= bounds.max_ece,
                found=_band("error", seen, low, high, found.rows if found else 0, why),
                wanted=f"at most {bounds.max_ece:.4g}, with 95 % confidence",
                evidence={} if found is None else msgspec.to_builtins(found),
            )
        )
    if bounds.slope is not None:
        why = "no labelled fresh row" if found is None else found.why or found.slope_why
        seen = found.slope if found is not None else None
        low = found.slope_low if found is not None else None
        high = found.slope_high if found is not None else None
        inside = low is not None and high is not None
        inside = inside and not (low > bounds.slope[1] or high < bounds.slope[0])  # type: ignore[operator]
        out.append(
            CheckResult(
                name="calibration slope",
                passed=inside,
                found=_band("slope", seen, low, high, found.rows if found else 0, why),
                wanted=f"{bounds.slope[0]:.4g} to {bounds.slope[1]:.4g}, with 95 % confidence",
                evidence={} if found is None else msgspec.to_builtins(found),
            )
        )
    return out


def _band(
    what: str, seen: float | None, low: float | None, high: float | None, rows: int, why: str
) -> str:
    if seen is None or low is None or high is None:
        return f"not measured: {why}"
    return f"{what} {seen:.4f} ({low:.4f} to {high:.4f}) on {rows} rows"
