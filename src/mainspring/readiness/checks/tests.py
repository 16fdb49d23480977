"""Did the project's own tests pass on exactly the code that made the version?"""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.ground.objects import CheckResult, Evidence, Gate
from mainspring.readiness import proofs
from mainspring.readiness.inputs import GateInputs

_RUN_THEM = "run them: mainspring test"


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether tests of exactly this code passed, lately, and ran enough of its steps."""
    if not policy.tests:
        return []
    wanted = f"the project's tests passed on exactly this code, {proofs.lately(policy)}"
    if policy.tests_share:
        wanted += f", and ran at least {policy.tests_share:.0%} of the lines of its steps"
    known = proofs.of_kind(inputs.evidence, "tests")
    held = proofs.on_this_code(known, inputs)
    passed, found = _judged(inputs, policy, known, held)
    return [
        CheckResult(
            name="tests",
            passed=passed,
            found=found,
            wanted=wanted,
            evidence={} if held is None else {"share": proofs.share_of(held, inputs)},
            opens=[] if held is None else [f"evidence:{held.id}", *held.opens],
        )
    ]


def _judged(
    inputs: GateInputs, policy: Gate, known: Iterable[Evidence], held: Evidence | None
) -> tuple[bool, str]:
    if inputs.version is None or not inputs.version.code:
        return False, "no pipeline of the project made it, so which code to test is not known"
    if held is None:
        differ = proofs.differing(known, inputs)
        other = f"the tests ran on other code: {differ}" if differ else "no tests ran on this code"
        return False, f"{other}; {_RUN_THEM}"
    if not held.passed:
        return False, held.found
    aged = proofs.aged(held, inputs, policy)
    if aged:
        return False, f"{held.found}, but {aged}; {_RUN_THEM}"
    share = proofs.share_of(held, inputs)
    enough = not policy.tests_share or (share is not None and share >= policy.tests_share)
    ran = "which lines ran was not noted" if share is None else f"{share:.0%} of its lines ran"
    return enough, held.found if enough else f"{held.found}; {ran}"
