"""Does the card say what a person must know before trusting the version?"""

from __future__ import annotations

from mainspring.ground.cards import REQUIRED, missing, overdue
from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether a card is there with every required field filled.

    An assumption whose day of review is over is told; where the gate requires assumptions, it
    fails the check.
    """
    if not policy.needs_card:
        return []
    card, wanted = inputs.card, [*dict.fromkeys((*REQUIRED, *policy.card_requires))]
    blank = missing(card, policy.card_requires)
    late = [f"{one.text} ({one.owner}, {one.review_by})" for one in overdue(card, inputs.now)]
    told = [f"{', '.join(blank)} left blank"] if blank else []
    told += [f"overdue for review: {'; '.join(late)}"] if late else []
    found = "no card" if card is None else "; ".join(told) or "complete"
    stale = late if "assumptions" in policy.card_requires else []
    return [
        CheckResult(
            name="card",
            passed=not blank and not stale,
            found=found,
            wanted=f"a card with {', '.join(wanted)}",
            evidence={"missing": blank, "overdue": late},
        )
    ]
