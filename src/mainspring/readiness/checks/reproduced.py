"""Does the version's run give the same when it is done again?"""

from __future__ import annotations

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness import proofs
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the version was made again, lately, and the same came of it."""
    if not policy.reproduced:
        return []
    wanted = f"its run gives the same bytes, or metrics within tolerance, {proofs.lately(policy)}"
    known = proofs.of_kind(inputs.evidence, "reproduced")
    if not known:
        told = "it was not made again; do it: mainspring reproduce VERSION"
        return [CheckResult(name="reproduced", passed=False, found=told, wanted=wanted)]
    newest = known[0]
    aged = proofs.aged(newest, inputs, policy)
    return [
        CheckResult(
            name="reproduced",
            passed=bool(newest.passed) and not aged,
            found=f"{newest.found}, but {aged}" if aged else newest.found,
            wanted=wanted,
            evidence={"verdict": newest.detail.get("verdict")},
            opens=[f"evidence:{newest.id}", *newest.opens],
        )
    ]
