"""Has another person than the author approved this version, as it is judged now?"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.ground.gates import APPROVAL, CheckResult, Gate
from mainspring.ground.identity import key_of
from mainspring.ground.objects import Evidence, Version
from mainspring.readiness.inputs import GateInputs

_WANTED = "approved by another person than the author"


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether an approval stands; a gate that does not ask for one finds nothing."""
    if not policy.approval or inputs.version is None:
        return []
    subject = f"{inputs.version.model}/{inputs.version.number}"
    given = [e for e in inputs.evidence if e.kind == APPROVAL and e.subject == subject]
    return [judged(given, inputs.version, policy, inputs.now)]


def judged(given: Sequence[Evidence], version: Version, policy: Gate, now: float) -> CheckResult:
    """Return the check by the newest approval, or refusal, of a version."""
    newest = max(given, key=lambda one: one.at, default=None)
    if newest is None:
        return CheckResult(name=APPROVAL, passed=False, found="not asked yet", wanted=_WANTED)
    evidence = {key: newest.detail.get(key) for key in ("authors", "reason")}
    evidence |= {"by": newest.by, "refused": newest.passed is False}
    found, passed = f"{newest.by} approved: {newest.detail.get('reason', '')}", False
    if newest.passed is False:
        found = f"{newest.by} refused: {newest.detail.get('reason', '')}"
    elif newest.by in newest.detail.get("authors", []):
        found = f"{newest.by} made it, and approves nothing of their own"
    elif now - newest.at >= policy.valid_s:
        found = f"the approval of {newest.by} is {(now - newest.at) / 86_400:.0f} days old"
    elif newest.detail.get("basis") != basis(version, policy):
        found = f"{newest.by} approved before the package, the card or the gate changed"
    else:
        passed = True
    return CheckResult(
        name=APPROVAL,
        passed=passed,
        found=found,
        wanted=_WANTED,
        evidence=evidence,
        opens=[f"evidence:{newest.id}"],
    )


def basis(version: Version, policy: Gate) -> str:
    """Return a digest of what a person approves: the package, its card, and the gate declared.

    An approval outlives another look of the same gate at newer rows, which refuses by itself if
    it finds something; it does not outlive a change of what was looked at.
    """
    return key_of(version.origin or version.package, version.card, policy)
