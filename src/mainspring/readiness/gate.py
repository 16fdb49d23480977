"""Judge a candidate by every check. Pure, but for the words at the end; storing is in verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mainspring.ground.identity import new_id
from mainspring.ground.objects import CheckResult, Decision, Gate, GateResult
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions
from mainspring.readiness.checks import (
    approval,
    baselines,
    bias,
    calibration,
    card,
    champion,
    data,
    freshness,
    latency,
    learnt,
    load,
    metrics,
    packages,
    reproduced,
    robustness,
    security,
    slices,
    tests,
)
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.verdicts import latest, passed, reason, results, store_result

__all__ = [
    "CHECKS",
    "judge",
    "latest",
    "note",
    "passed",
    "reason",
    "result",
    "results",
    "store_result",
]

CHECKS: tuple[Callable[[GateInputs, Gate], list[CheckResult]], ...] = (
    metrics.check,
    champion.check,
    slices.check,
    calibration.check,
    baselines.check,
    data.check,
    freshness.check,
    learnt.check,
    latency.check,
    load.check,
    robustness.check,
    bias.check,
    card.check,
    security.check,
    packages.check,
    reproduced.check,
    tests.check,
    approval.check,
)


#: Those whose figures are of the fresh rows, which can be opened beside them.
_OF_ROWS = (metrics.check, champion.check, slices.check, calibration.check, baselines.check)


def judge(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return what every check of the gate found; the gate passes if all of them did."""
    return [
        _with_rows(result, inputs) if check in _OF_ROWS else result
        for check in CHECKS
        for result in check(inputs, policy)
    ]


def _with_rows(result: CheckResult, inputs: GateInputs) -> CheckResult:
    if inputs.rows is None:
        return result
    return msgspec.structs.replace(result, opens=[*result.opens, f"artifact:{inputs.rows}"])


def result(
    model: str,
    number: int,
    checks: Sequence[CheckResult],
    at: float,
    by: str,
    *,
    policy: Gate | None = None,
    rows: str | None = None,
) -> GateResult:
    """Return the checks on one version as the record that is kept, with a new id."""
    return GateResult(
        id=new_id("gate"),
        model=model,
        number=number,
        passed=all(check.passed for check in checks),
        checks=list(checks),
        at=at,
        by=by,
        gate=policy,
        rows=rows,
    )


def note(tx: Tx, judged: GateResult, told: str, loop: str | None = None) -> None:
    """Write a gate down as a decision, for a version that no loop asks about.

    Its id is the gate's, so that noting twice notes once.
    """
    decisions.record(
        tx,
        Decision(
            id=judged.id,
            at=judged.at,
            made=judged.at,
            kind="gate",
            subject=f"{judged.model}/{judged.number}",
            reason=told,
            by=judged.by,
            loop=loop,
            evidence={"passed": judged.passed},
        ),
    )
