"""Are the facets that were declared treated alike, within their allowed ranges?

The figures are of the rows the version was measured on. A comparison fails only if a figure's
interval, at a chance shared among all figures, lies wholly outside of what is allowed.
"""

from __future__ import annotations

import msgspec

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return one result for each comparison; nothing unless the gate declares a facet."""
    if not policy.bias:
        return []
    found = inputs.measured.bias
    wanted = "no figure surely outside of its allowed range"
    if found is None or found.why:
        why = "nothing was measured" if found is None else found.why
        return [CheckResult(name="bias", passed=False, found=why, wanted=wanted)]
    opens = [f"artifact:{found.report}"] if found.report else []
    return [
        CheckResult(
            name=f"bias {one.subject}",
            passed=one.judged and not one.outside,
            found=one.found,
            wanted=wanted,
            evidence=msgspec.to_builtins(one) | {"rows": found.rows, "report": found.report},
            opens=opens,
        )
        for one in found.comparisons
    ]
