"""Does the card say what a person must know before trusting the version?"""

from __future__ import annotations

from msgspec.structs import fields

from mainspring.ground.objects import Card, CheckResult, Gate
from mainspring.readiness.inputs import GateInputs

#: The fields a Card cannot be made without.
REQUIRED = tuple(field.name for field in fields(Card) if field.required)


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether a card is there with every required field filled."""
    if not policy.needs_card:
        return []
    card = inputs.card
    blank = [name for name in REQUIRED if card is None or not getattr(card, name).strip()]
    if card is None:
        found = "no card"
    else:
        found = f"{', '.join(blank)} left blank" if blank else "complete"
    return [
        CheckResult(
            name="card",
            passed=not blank,
            found=found,
            wanted=f"a card with {', '.join(REQUIRED)}",
            evidence={"missing": blank},
        )
    ]
