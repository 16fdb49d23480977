"""What asks for a new version, and what is in the way of one: questions with one answer each.

Pure: they take what the loop remembers and the policy as declared. ``mainspring.loop`` says in
which order they are asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainspring.ground.loops import Phase, View
from mainspring.ground.messages import AlarmRef
from mainspring.ground.objects import DAY_S, RetrainingPolicy, Wish

#: What nobody declared. It says that something changed, and a fresh version need not do better.
_ASKS = dict.fromkeys(("concept", "calibration", "slice", "age", "regret"), "check")
_DRIFT = ("drift", "score_drift", "joint")


def wish(alarm: AlarmRef, policy: RetrainingPolicy) -> str:
    """Return what the policy wants done about an alarm: check, retrain or note.

    ``on`` may name one subject (``"drift:price"``), which goes before its kind. What is not
    named and what no training mends, such as quality or traffic, is noted.

    >>> wish(AlarmRef(id="a", kind="rule", subject="hot"), RetrainingPolicy(on={"rule": "check"}))
    'check'
    """
    usual: dict[str, Any] = {
        **_ASKS,
        **dict.fromkeys(_DRIFT, policy.on_drift),
        "performance": policy.on_performance,
        **policy.on,
    }
    found: Wish = usual.get(f"{alarm.kind}:{alarm.subject}") or usual.get(alarm.kind) or "note"
    return found


def asked(view: View, policy: RetrainingPolicy) -> tuple[str, str] | None:
    """Return the cause and the reason to train without measuring first, if there is one.

    The greatest age is a floor: it trains though the last check said that it would not pay.
    """
    if view.wanted:
        return "request", " ".join(view.wanted)
    if policy.every_rows is not None and view.rows >= policy.every_rows:
        return "rows", f"{view.rows:,} rows were served since the last training began."
    new = view.labels - (view.labels_trained or 0)
    if policy.every_labels is not None and new >= policy.every_labels:
        return "labels", f"{new:,} labels came since the last training began."
    age = view.now - promoted(view)
    if policy.max_age_s is not None and age >= policy.max_age_s:
        return "schedule", f"The champion is {age / DAY_S:.0f} days old."
    return None


def check_due(view: View, policy: RetrainingPolicy) -> bool:
    """Return whether it is time for the regular look at the regret, alarm or no alarm."""
    last = promoted(view) if view.checked_at is None else view.checked_at
    return policy.check_every_s is not None and view.now - last >= policy.check_every_s


def may_check(view: View, policy: RetrainingPolicy) -> bool:
    """Return whether a look at the regret for the sake of an alarm may say anything new.

    It rests on labelled rows: without new ones it would say the same again, whatever the inputs
    do meanwhile. A look that had too little to compare on does not count.
    """
    if view.checked_at is None or not view.compared:
        return True
    news = view.labels - view.labels_checked
    enough = policy.check_labels is not None and news >= policy.check_labels
    return enough or view.now - view.checked_at >= policy.check_cooldown_s


def spent(view: View, policy: RetrainingPolicy) -> str | None:
    """Return which budget is used up, if one is. Only a person can raise it."""
    if view.retrainings >= policy.budget:
        return f"the budget of {policy.budget} retrainings is spent; a person must raise it"
    if policy.budget_s is not None and view.trained_s >= policy.budget_s:
        return (
            f"the budget of {policy.budget_s / 60:.0f} minutes of training is spent "
            f"({view.trained_s / 60:.1f} were used); a person must raise it"
        )
    return None


def cooling(view: View, policy: RetrainingPolicy) -> bool:
    """Return whether the last training began too short a time ago."""
    return view.trained_at is not None and view.now - view.trained_at < policy.cooldown_s


def will_pass(view: View, policy: RetrainingPolicy) -> bool:
    """Return whether what is in the way goes away by itself, so that a request can wait."""
    hindered = view.phase is not Phase.IDLE or cooling(view, policy)
    return hindered and view.champion is not None and spent(view, policy) is None


def promoted(view: View) -> float:
    """Return since when the champion serves, as far as is known."""
    return view.now if view.promoted_at is None else view.promoted_at


def told(alarms: Iterable[AlarmRef]) -> str:
    """Return alarms as people name them."""
    return ", ".join(f"{alarm.kind} of {alarm.subject}" for alarm in alarms)
