"""Does the candidate take the same rows as the version it shall replace?"""

from __future__ import annotations

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs

_SHOWN = 5


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:  # noqa: ARG001  one shape
    """Return whether the data contract holds, naming the first violations."""
    broken = list(inputs.contract)
    more = f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return [
        CheckResult(
            name="data contract",
            passed=not broken,
            found="; ".join(broken[:_SHOWN]) + more if broken else "no violation",
            wanted="no violation",
            evidence={"violations": broken},
        )
    ]
