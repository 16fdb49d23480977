"""Is the candidate demonstrably worse than the champion on the same fresh rows, or better?

The rule: with d = loss(candidate) - loss(champion), row by row, the check fails when the lower
95 % confidence bound of mean d is above ``tolerance``. So a candidate that is surely worse is
stopped here, before it meets anybody, while one that is equal or only perhaps better passes:
proof of improvement is the rollout's work, which sees more rows and may look at them as often
as it likes. A copy of the champion passes here and is never promoted there.

With ``better`` the proof is asked for here: the upper 95 % bound of mean d must lie below
``-margin``. Rows of a day hang together, so days count as one observation each.

Too few rows show nothing either way. What becomes of the candidate then is ``few_rows``: it
passes, for the rollout to judge, or is refused. One that must be shown to be better is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mainspring.ground.objects import CheckResult, Gate
from mainspring.numerics.intervals import Interval, by_block_or_row
from mainspring.readiness.inputs import Floats, GateInputs

#: One-sided: a two-sided interval at 0.90 has 5 % beyond each end.
_TWO_SIDED = 0.90
#: Below this many rows nothing can be shown, either way.
_LEAST_ROWS = 30


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the candidate may go on, with the interval it was judged by.

    Raises:
        ShapesDifferError: if the losses do not belong to the same rows.
    """
    wanted = _wanted(policy)
    candidate, champion = inputs.candidate_losses, inputs.champion_losses
    if inputs.champion is None and (candidate is None or champion is None):
        return [_result(True, "there is no champion yet", wanted, {"rows": 0})]
    if candidate is None or champion is None:
        found = f"no fresh labelled row to compare with version {inputs.champion} on"
        return [_result(_may_be_few(policy), found, wanted, {"rows": 0})]
    rows = int(np.asarray(candidate).size)
    if rows < _LEAST_ROWS:
        found = f"{rows} paired rows show nothing; {_LEAST_ROWS} are needed"
        return [_result(_may_be_few(policy), found, wanted, {"rows": rows})]
    band, by_block = _interval(candidate, champion, inputs)
    passed = band.high < -policy.margin if policy.better else band.low <= policy.tolerance
    unit = f"{rows} rows" + (f" in {band.n} blocks" if by_block else "")
    found = (
        f"{abs(band.estimate):.4f} {'worse' if band.estimate > 0 else 'better'} than version "
        f"{inputs.champion}, interval of (candidate - champion) {band.low:+.4f} to "
        f"{band.high:+.4f}, {unit}"
    )
    evidence = {
        "champion": inputs.champion,
        "rows": rows,
        "blocks": band.n if by_block else None,
        "candidate_loss": float(candidate.mean()),
        "champion_loss": float(champion.mean()),
        "difference": band.estimate,
        "low": band.low,
        "high": band.high,
        "tolerance": policy.tolerance,
    }
    if policy.better:
        evidence["margin"] = policy.margin
    return [_result(passed, found, wanted, evidence)]


def _wanted(policy: Gate) -> str:
    if policy.better:
        return f"better by more than {policy.margin:.4g} mean loss, with 95 % confidence"
    return f"not worse by more than {policy.tolerance:.4g} mean loss, with 95 % confidence"


def _may_be_few(policy: Gate) -> bool:
    return policy.few_rows == "pass" and not policy.better


def _interval(candidate: Floats, champion: Floats, inputs: GateInputs) -> tuple[Interval, bool]:
    difference = np.asarray(candidate, dtype=np.float64) - np.asarray(champion, dtype=np.float64)
    return by_block_or_row(difference, inputs.blocks, _TWO_SIDED)


def _result(passed: bool, found: str, wanted: str, evidence: dict[str, Any]) -> CheckResult:
    return CheckResult(
        name="champion", passed=passed, found=found, wanted=wanted, evidence=evidence
    )
