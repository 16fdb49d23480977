"""Is every metric within the thresholds that the loop declared?"""

from __future__ import annotations

import math

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return one result for each threshold; a metric that was not measured does not pass."""
    low = [_compare(name, want, inputs, "at least") for name, want in policy.at_least.items()]
    return low + [_compare(name, want, inputs, "at most") for name, want in policy.at_most.items()]


def _compare(name: str, want: float, inputs: GateInputs, side: str) -> CheckResult:
    found = inputs.metrics.get(name)
    if found is None:
        known = ", ".join(sorted(inputs.metrics)) or "none"
        said, passed = f"{name} was not measured; measured: {known}", False
    elif not math.isfinite(found):
        said, passed = f"{name} is {found}", False
    else:
        said = f"{name} {found:.4g}"
        passed = found >= want if side == "at least" else found <= want
    return CheckResult(
        name=f"metric {name}",
        passed=passed,
        found=said,
        wanted=f"{side} {want:.4g}",
        # JSON has no NaN: a value that is none is left out.
        evidence={"value": found if found is not None and math.isfinite(found) else None},
    )
