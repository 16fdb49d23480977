"""Is nothing known against the packages the version was made with?"""

from __future__ import annotations

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness import proofs
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return what the advisories said; the gate looks them up anew each time."""
    if not policy.advisories:
        return []
    wanted = f"no known flaw from {policy.advisories_from} on that nobody accepted"
    known = proofs.of_kind(inputs.evidence, "advisories")
    if not known:
        told = "its packages were not compared with the advisories"
        return [CheckResult(name="advisories", passed=False, found=told, wanted=wanted)]
    newest = known[0]
    return [
        CheckResult(
            name="advisories",
            passed=bool(newest.passed),
            found=newest.found,
            wanted=wanted,
            evidence={"counted": newest.detail.get("counted")},
            opens=[f"evidence:{newest.id}", *newest.opens],
        )
    ]
