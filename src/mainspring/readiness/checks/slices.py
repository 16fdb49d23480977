"""Is any part of the rows surely worse off: a slice that was declared, or one that was found?

The whole may be better and one group pay for it. A slice fails where the lower end of its
interval lies above ``worst_slice`` (its mean loss), or above ``slice_tolerance`` (its loss beyond
the champion's on the same rows). Slices share the chance of failing by luck, so that many may be
declared; slices with fewer than 30 rows are told and not judged.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import SliceFigures

_SHOWN = 4


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether a slice is surely bad; nothing where no slice could be looked at."""
    found = inputs.measured.slices
    if found is None:
        return []
    if found.why and not found.unread:
        return [] if not policy.slices else [_result(True, found.why, policy, {"rows": 0})]
    bad = [text for one in found.slices if (text := _bad(one, policy))]
    few = [one.name for one in found.slices if one.loss is None]
    told = [f"slice {text}" for text in found.unread] + bad
    evidence = {
        "slices": msgspec.to_builtins(found.slices),
        "looked": found.looked,
        "alpha": found.alpha,
        "unread": list(found.unread),
    }
    if told:
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        return [_result(False, "; ".join(told[:_SHOWN]) + more, policy, evidence)]
    judged = [one for one in found.slices if one.loss is not None]
    words = [f"{len(judged)} slices, none surely bad"]
    if judged:
        worst = max(judged, key=_severity)
        words.append(f"the worst is {_said(worst)}")
    if found.looked:
        words.append(f"{found.looked} searched")
    if few:
        words.append(f"too few rows: {', '.join(few[:_SHOWN])}")
    return [_result(True, "; ".join(words), policy, evidence)]


def tolerance_of(policy: Gate) -> float:
    """Return by how much a slice may be worse: never less than all rows together may be."""
    return max(policy.slice_tolerance, policy.tolerance)


def _bad(one: SliceFigures, policy: Gate) -> str:
    """Return why a slice fails, or nothing."""
    if policy.worst_slice is not None and one.low is not None and one.low > policy.worst_slice:
        return f"{_said(one)}, surely above {policy.worst_slice:.4g}"
    if one.difference_low is not None and one.difference_low > tolerance_of(policy):
        return f"{_said(one)}, surely more than {tolerance_of(policy):.4g} worse"
    return ""


def _severity(one: SliceFigures) -> float:
    if one.difference is not None:
        return one.difference
    return one.loss or 0.0


def _said(one: SliceFigures) -> str:
    text = f"{one.name} ({one.rows} rows{', found by search' if one.found else ''})"
    text += f" loses {one.loss:.4f} ({one.low:.4f} to {one.high:.4f})"
    if one.difference is not None:
        text += (
            f", {one.difference:+.4f} beside the champion ({one.difference_low:+.4f} to"
            f" {one.difference_high:+.4f})"
        )
    return text


def _result(passed: bool, found: str, policy: Gate, evidence: dict[str, Any]) -> CheckResult:
    wanted = [f"no slice surely more than {tolerance_of(policy):.4g} worse than the champion"]
    if policy.worst_slice is not None:
        wanted.append(f"none with a mean loss surely above {policy.worst_slice:.4g}")
    return CheckResult(
        name="slices", passed=passed, found=found, wanted=", ".join(wanted), evidence=evidence
    )
