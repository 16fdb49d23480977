"""Say how far the scores of two versions may be apart, from what a gate measured of both."""

from __future__ import annotations

from mainspring.ground.objects import Rollout, RolloutPolicy
from mainspring.ground.ports import Tx
from mainspring.readiness import verdicts
from mainspring.retraining.guardrails import shift_limit


def limit_of(tx: Tx, rollout: Rollout, policy: RolloutPolicy) -> float | None:
    """Return the greatest mean difference of scores in a rollout, 0 to 1; None for any."""
    if policy.max_shift is not None:
        return shift_limit(policy, None)
    newest = verdicts.latest(tx, rollout.model, rollout.challenger)
    for check in newest.checks if newest is not None else ():
        told = check.evidence
        if check.name == "champion" and told.get("champion") == rollout.champion:
            return shift_limit(policy, (told["candidate_loss"], told["champion_loss"]))
    return shift_limit(policy, None)
