"""Is the candidate worth its trouble: better than a constant, a linear model, a shallow tree?

A candidate that is surely worse than a constant answer is refused. A linear model or a shallow
tree that is not surely worse than the candidate does the same work and is easier to keep: that
is told, and refused only where the gate says so.
"""

from __future__ import annotations

import msgspec

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import BaselineFigures

_SIMPLER = ("linear", "tree")


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the candidate beats what is simpler, each with its interval."""
    found = inputs.measured.baselines
    if not policy.baselines or found is None:
        return []
    wanted = "not surely worse than a constant"
    if policy.simpler == "refuse":
        wanted += ", surely better than a linear model and a shallow tree"
    evidence = msgspec.to_builtins(found)
    if found.why:
        return [
            CheckResult(
                name="baselines",
                passed=policy.simpler != "refuse",
                found=f"not measured: {found.why}",
                wanted=wanted,
                evidence=evidence,
            )
        ]
    known = {one.name: one for one in found.models}
    simple = [known[name] for name in _SIMPLER if name in known]
    constant = known.get("constant")
    bad: list[str] = []
    told: list[str] = []
    if constant is not None and constant.low is not None:
        (bad if constant.low > 0 else told).append(_said(constant))
    for one in simple:
        unproven = one.high is None or one.high >= 0
        if policy.simpler == "refuse" and unproven:
            bad.append(_said(one) + (", which is simpler" if one.high is not None else ""))
        elif one.high is not None:
            told.append(_said(one) + (": the simpler one may do" if unproven else ""))
    return [
        CheckResult(
            name="baselines",
            passed=not bad,
            found="; ".join(bad or told) or "nothing to compare with",
            wanted=wanted,
            evidence=evidence,
        )
    ]


def _said(one: BaselineFigures) -> str:
    if one.difference is None or one.low is None or one.high is None:
        return f"no {one.name} model to compare with: {one.why}"
    side = "worse" if one.difference > 0 else "better"
    return (
        f"{abs(one.difference):.4f} {side} than the {one.name} model"
        f" ({one.low:+.4f} to {one.high:+.4f})"
    )
