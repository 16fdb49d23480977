"""Did the candidate learn from rows that are new enough, by the event time of the fresh rows?"""

from __future__ import annotations

from mainspring.ground.objects import DAY_S, CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return how far the newest training row lies before the newest fresh one.

    Where there is no fresh row the time of the gate counts. A version whose training rows bear no
    time does not pass: nobody can say how old they are.
    """
    if policy.trained_within_s is None:
        return []
    within = policy.trained_within_s
    until = inputs.version.trained_until if inputs.version is not None else None
    fresh = inputs.measured.fresh_until
    by = "the newest fresh row" if fresh is not None else "the gate"
    now = fresh if fresh is not None else inputs.at
    wanted = f"training rows until at most {within / DAY_S:.4g} days before the fresh rows"
    if until is None or now is None:
        told = "its training rows bear no time" if until is None else "nobody knows the time"
        return [CheckResult(name="freshness", passed=False, found=told, wanted=wanted)]
    age = now - until
    return [
        CheckResult(
            name="freshness",
            passed=age <= within,
            found=f"trained until {age / DAY_S:.2f} days before {by}",
            wanted=wanted,
            evidence={"trained_until": until, "fresh_until": fresh, "age_s": age},
        )
    ]
