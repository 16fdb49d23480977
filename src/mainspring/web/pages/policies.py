"""Say a loop's policy as people read it: what asks, what holds back, how a candidate is proved."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mainspring.ground.objects import LoopSpec, RetrainingPolicy, RolloutPolicy
from mainspring.web.pages import words
from mainspring.workspace.views.shapes import LoopStatus

_WISH = {
    "check": "measure whether a fresh version pays",
    "retrain": "train at once",
    "note": "write it down, nothing else",
}


class Rule(msgspec.Struct, frozen=True):
    """One line of the policy."""

    name: str
    said: str
    spent: float | None = None  #: of a budget, 0 to 1


class Part(msgspec.Struct, frozen=True):
    """Rules that belong together."""

    title: str
    rules: list[Rule]


def parts(status: LoopStatus) -> list[Part]:
    """Return the policy of a loop, with what of its budget is spent."""
    spec = status.spec
    return [
        Part("What asks for a new version", list(_asks(spec.retraining))),
        Part("What holds back", list(_holds(status))),
        Part("What it learns from", list(_learns(spec))),
        Part("How a candidate meets traffic", list(_rollout(spec.rollout))),
    ]


def _asks(policy: RetrainingPolicy) -> Iterator[Rule]:
    yield Rule("drift", _WISH[policy.on_drift])
    yield Rule("worse performance", _WISH[policy.on_performance])
    for alarm, wish in policy.on.items():
        yield Rule(f"alarm: {alarm}", _WISH[wish])
    if policy.check_every_s is not None:
        yield Rule("regret", f"measured at least every {words.lasting(policy.check_every_s)}")
    if policy.cost:
        told = f"one retraining costs {words.figure(policy.cost)}, a unit of loss on one"
        yield Rule("worth", f"{told} prediction {words.figure(policy.value_per_loss)}")
    if policy.every_rows is not None:
        yield Rule("rows", f"train after {policy.every_rows:,} served rows")
    if policy.every_labels is not None:
        yield Rule("labels", f"train after {policy.every_labels:,} labels")
    if policy.on_data:
        yield Rule("data", f"a new version of {', '.join(policy.on_data)}")
    if policy.schedule is not None:
        yield Rule("schedule", f"{policy.schedule} ({policy.schedule_tz})")
    if policy.max_age_s is not None:
        yield Rule("age", f"a champion older than {words.lasting(policy.max_age_s)} is replaced")
    yield Rule("by hand", "anybody who may: mainspring loop retrain, or over HTTP")


def _holds(status: LoopStatus) -> Iterator[Rule]:
    policy, view = status.spec.retraining, status.view
    told = f"{words.lasting(policy.cooldown_s) or 'none'} between trainings"
    if view.trained_at is not None and view.now < view.trained_at + policy.cooldown_s:
        told += f"; the next not before {words.when(view.trained_at + policy.cooldown_s)}"
    yield Rule("cool-down", told)
    spent = view.retrainings / policy.budget if policy.budget else None
    yield Rule("budget", f"{view.retrainings} of {policy.budget} trainings spent", spent)
    if policy.budget_s is not None:
        used = words.lasting(view.trained_s) or "nothing"
        share = view.trained_s / policy.budget_s if policy.budget_s else None
        yield Rule("time budget", f"{used} of {words.lasting(policy.budget_s)} spent", share)
    if not policy.freeze:
        yield Rule("freeze", "no freeze is declared")
    for one in policy.freeze:
        why = f": {one.why}" if one.why else ""
        yield Rule("freeze", f"{words.lasting(one.for_s)} from {one.cron} ({one.tz}){why}")
    if status.frozen_until is not None:
        yield Rule("frozen now", f"until {words.when(status.frozen_until)}")


def _learns(spec: LoopSpec) -> Iterator[Rule]:
    policy = spec.retraining
    history = (
        "all the rows there are"
        if policy.history_s is None
        else f"the newest {words.lasting(policy.history_s)}"
    )
    yield Rule("rows", f"{history}, at most {policy.max_rows:,}")
    yield Rule("held out", f"the newest {words.lasting(policy.holdout_s)}, for the gate alone")
    yield Rule("pipeline", spec.pipeline)


def _rollout(policy: RolloutPolicy) -> Iterator[Rule]:
    share = f" of {words.share(policy.share)} of the rows" if policy.strategy == "canary" else ""
    if policy.steps:
        share = f" of {', '.join(words.share(step.share) for step in policy.steps)} of the rows"
    yield Rule("strategy", f"{words.word(policy.strategy)}{share}")
    if policy.bake_s:
        yield Rule("baked", f"{words.lasting(policy.bake_s)} at the last share")
    yield Rule("promoted", f"once better, with a chance of {policy.alpha:g} of being wrong")
    yield Rule("sent home", f"once worse, with a chance of {policy.harm_alpha:g} of being wrong")
    if policy.margin:
        yield Rule("margin", f"a difference of {policy.margin:g} in mean loss counts as equal")
    least = f"at least {words.lasting(policy.min_period_s)}, " if policy.min_period_s else ""
    yield Rule("lasts", f"{least}at most {words.lasting(policy.max_period_s)}")
    yield Rule("watched", f"{words.lasting(policy.watch_s)}, the champion before ready to return")
    if policy.fdr is not None:
        yield Rule("fleet", f"at most {words.share(policy.fdr)} of promotions may be false")
    slow = ""
    if policy.slow_ms is not None:
        slow = f", {words.share(policy.max_slow)} slower than {policy.slow_ms:g} ms"
    yield Rule("ill", f"more than {words.share(policy.max_errors)} failed scorings{slow}")
    yield Rule(
        "guard rails",
        "failures, times, scores that stand still or stray" if policy.guard else "none",
    )
