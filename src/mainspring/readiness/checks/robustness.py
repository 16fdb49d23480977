"""Does the version bear what will be sent to it: gaps, strange values, small changes?

Never an error and never an answer that is no number, for any value that a request may hold and
the signature allows. Beyond that: small changes must not move many answers (on by default), and
one missing or strange value must not flip more than was declared.
"""

from __future__ import annotations

import msgspec

from mainspring.ground.limits import RobustnessLimits
from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import Probe

_SHOWN = 4
#: Rows below which a share says nothing.
LEAST_ROWS = 20


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the version bore every change that counts."""
    found, limits = inputs.measured.robustness, policy.robustness
    if limits is None or found is None:
        return []
    if found.why:
        return [_result(True, f"not measured: {found.why}", limits, {})]
    bad = [told for one in found.probes if (told := _bad(one, limits))]
    evidence = msgspec.to_builtins(found)
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        return [_result(False, "; ".join(bad[:_SHOWN]) + more, limits, evidence)]
    return [_result(True, _calm(found.probes, found.rows), limits, evidence)]


def _bad(one: Probe, limits: RobustnessLimits) -> str:
    """Return why a change was not borne, or nothing."""
    told = ""
    if one.kind == "extreme" and not limits.extreme:
        return ""
    if one.error:
        told = one.error
    elif one.not_finite:
        told = f"{one.not_finite} of {one.rows} answers are no number"
    elif one.flipped is not None and one.moved is not None and one.rows >= LEAST_ROWS:
        if one.kind == "noise":
            hit, most = max(one.flipped, one.moved), limits.max_moved
            words = f"flip or move by more than {limits.epsilon:.3g}"
        else:
            hit, most, words = one.flipped, limits.max_flipped, "flip"
        if most is not None and hit > most * one.rows:
            told = f"{hit} of {one.rows} answers {words}"
    return told and f"{one.kind} {one.column}".strip() + f": {told}"


def _calm(probes: list[Probe], rows: int) -> str:
    text = f"{len(probes)} changes of {rows} rows, each answered with a number"
    for kind, words in (("noise", "small changes move"), ("missing", "one missing value flips")):
        several = [one for one in probes if one.kind == kind and one.moved is not None]
        if several:
            hit = [(one.moved if kind == "noise" else one.flipped) or 0 for one in several]
            text += f"; {words} at most {max(hit)}"
    strange = [one for one in probes if one.kind == "extreme" and (one.error or one.not_finite)]
    if strange:
        text += f"; {len(strange)} columns do not bear 1e300, which is told and not judged"
    return text


def _result(
    passed: bool, found: str, limits: RobustnessLimits, evidence: dict[str, object]
) -> CheckResult:
    wanted = ["never an error, never an answer that is no number"]
    if limits.max_moved is not None:
        wanted.append(f"small changes move at most {limits.max_moved:.0%}")
    if limits.max_flipped is not None:
        wanted.append(f"one strange value flips at most {limits.max_flipped:.0%}")
    return CheckResult(
        name="robustness",
        passed=passed,
        found=found,
        wanted="; ".join(wanted),
        evidence=evidence,
    )
