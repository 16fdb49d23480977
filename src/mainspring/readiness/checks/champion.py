"""Is the candidate demonstrably worse than the champion on the same fresh rows?

The rule: with d = loss(candidate) - loss(champion), row by row, the check fails when the lower
95 % confidence bound of mean d is above ``tolerance``. So a candidate that is surely worse is
stopped here, before it meets anybody, while one that is equal or only perhaps better passes:
proof of improvement is the rollout's work, which sees more rows and may look at them as often
as it likes. A copy of the champion passes here and is never promoted there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mainspring.ground.objects import CheckResult, Gate
from mainspring.numerics.intervals import Interval, block_difference, mean_interval
from mainspring.readiness.inputs import Floats, GateInputs

#: One-sided: a two-sided interval at 0.90 has 5 % beyond each end.
_TWO_SIDED = 0.90
#: Below this many blocks the interval by block says nothing, and rows count on their own.
_LEAST_BLOCKS = 5
#: Below this many rows nothing can be shown, either way.
_LEAST_ROWS = 30


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the candidate may go on, with the interval it was judged by.

    Raises:
        ShapesDifferError: if the losses do not belong to the same rows.
    """
    wanted = f"not worse by more than {policy.tolerance:.4g} mean loss, with 95 % confidence"
    candidate, champion = inputs.candidate_losses, inputs.champion_losses
    if candidate is None or champion is None:
        found = (
            "there is no champion yet"
            if inputs.champion is None
            else f"no fresh labelled row to compare with version {inputs.champion} on"
        )
        return [_result(True, found, wanted, {"rows": 0})]
    rows = int(np.asarray(candidate).size)
    if rows < _LEAST_ROWS:
        found = f"{rows} paired rows show nothing; {_LEAST_ROWS} are needed"
        return [_result(True, found, wanted, {"rows": rows})]
    band, by_block = _interval(candidate, champion, inputs)
    passed = band.low <= policy.tolerance
    unit = f"{rows} rows" + (f" in {band.n} blocks" if by_block else "")
    found = (
        f"{abs(band.estimate):.4f} {'worse' if band.estimate > 0 else 'better'} than version "
        f"{inputs.champion}, interval of (candidate - champion) {band.low:+.4f} to "
        f"{band.high:+.4f}, {unit}"
    )
    evidence = {
        "rows": rows,
        "blocks": band.n if by_block else None,
        "candidate_loss": float(candidate.mean()),
        "champion_loss": float(champion.mean()),
        "difference": band.estimate,
        "low": band.low,
        "high": band.high,
        "tolerance": policy.tolerance,
    }
    return [_result(passed, found, wanted, evidence)]


def _interval(candidate: Floats, champion: Floats, inputs: GateInputs) -> tuple[Interval, bool]:
    difference = np.asarray(candidate, dtype=np.float64) - np.asarray(champion, dtype=np.float64)
    if inputs.blocks is not None and np.unique(inputs.blocks).size >= _LEAST_BLOCKS:
        return block_difference(difference, inputs.blocks, _TWO_SIDED), True
    return mean_interval(difference, _TWO_SIDED), False


def _result(passed: bool, found: str, wanted: str, evidence: dict[str, Any]) -> CheckResult:
    return CheckResult(
        name="champion", passed=passed, found=found, wanted=wanted, evidence=evidence
    )
