"""Can the version's files be loaded without harm? Read off its scan, which loads nothing."""

from __future__ import annotations

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness import proofs, scans
from mainspring.readiness.inputs import GateInputs

_WANTED = {
    "security: format": "no form that runs code when it is loaded, unless a person trusts it",
    "security: digests": "every file as the manifest says",
    "security: scan": "no call, path, link or archive that could do harm",
}


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return what the scan said of forms, of digests and of what the files hold."""
    if not policy.security or inputs.version is None:
        return []
    known = proofs.of_kind(inputs.evidence, "scan")
    if not known:
        return [_result(name, False, "it was not scanned", []) for name in _WANTED]
    scan = known[0]
    scanned, granted = scan.detail["packages"], scan.detail["granted"]
    opens = [f"evidence:{scan.id}"]
    found = (scans.form(scanned, granted), scans.digests(scanned), scans.content(scanned, granted))
    return [_result(name, *one, opens) for name, one in zip(_WANTED, found, strict=True)]


def _result(name: str, passed: bool, found: str, opens: list[str]) -> CheckResult:
    return CheckResult(name=name, passed=passed, found=found, wanted=_WANTED[name], opens=opens)
