"""What is known of the rows it learnt from: does something leak, and whose decisions are in it?

A loop looks at its training set when it assembles it, and keeps what it saw as evidence on the
version. Where nothing was assembled there is nothing to say, unless the gate asks for it.
"""

from __future__ import annotations

from typing import Any

from mainspring.ground.objects import CheckResult, Evidence, Gate
from mainspring.readiness.inputs import GateInputs

KIND = "training_set"


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return what leaks for sure, and which share of the rows the model's own decisions shaped."""
    told = _newest(inputs)
    return [*_leaks(told, policy), *_feedback(told, policy)]


def _newest(inputs: GateInputs) -> Evidence | None:
    version = inputs.version
    if version is None:
        return None
    own = f"{version.model}/{version.number}"
    return next((one for one in inputs.evidence if (one.kind, one.subject) == (KIND, own)), None)


def _leaks(told: Evidence | None, policy: Gate) -> list[CheckResult]:
    refuse = policy.leaks == "refuse"
    wanted = "no sure leak" if refuse else "told, whatever it is"
    if told is None:
        found = "nobody looked at the rows it learnt from"
        result = CheckResult(name="leaks", passed=False, found=found, wanted=wanted)
        return [result] if refuse else []
    found_all: list[dict[str, Any]] = told.detail.get("leaks", [])
    sure = [one["found"] for one in found_all if one.get("sure")]
    doubts = len(found_all) - len(sure)
    found = " ".join(f"WARNING: {one}" for one in sure) or "none is sure"
    if doubts:
        found += f"; {doubts} to look at"
    return [
        CheckResult(
            name="leaks",
            passed=not (refuse and sure),
            found=found,
            wanted=wanted,
            evidence={"sure": len(sure), "doubts": doubts},
            opens=[f"evidence:{told.id}"],
        )
    ]


def _feedback(told: Evidence | None, policy: Gate) -> list[CheckResult]:
    most = policy.max_feedback_share
    wanted = "told, whatever it is"
    if most is not None:
        wanted = f"at most {most:.0%} of the rows labelled because of the model's own score"
    seen: dict[str, Any] | None = None if told is None else told.detail.get("feedback")
    if told is None or seen is None:
        found = "nobody asked whose decisions are in the rows it learnt from"
        result = CheckResult(name="feedback", passed=False, found=found, wanted=wanted)
        return [] if most is None else [result]
    shaped = seen.get("shaped_share")
    # What is surely above the limit is refused: a guess about few rows is only told.
    over = most is not None and shaped is not None and shaped[1] > most
    warning = seen.get("warning") or ""
    return [
        CheckResult(
            name="feedback",
            passed=not over,
            found=f"WARNING: {warning}" if warning else seen["found"],
            wanted=wanted,
            evidence={"shaped_share": shaped, "served_share": seen.get("served_share")},
            opens=[f"evidence:{told.id}"],
        )
    ]
