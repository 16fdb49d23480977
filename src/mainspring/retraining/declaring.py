"""Say how a candidate meets traffic and when a new version is trained: the words a user types."""

from __future__ import annotations

from typing import Literal

from mainspring.ground.bounds import within
from mainspring.ground.durations import seconds
from mainspring.ground.objects import RetrainingPolicy, RolloutPolicy, Strategy


def Rollout(  # noqa: N802  reads as the record it makes
    strategy: Literal["canary", "shadow", "blue_green"] = "canary",
    *,
    share: float = 0.2,
    alpha: float = 0.05,
    harm_alpha: float = 0.01,
    margin: float = 0.0,
    min_period: str | float = 0,
    max_period: str | float = "28d",
    watch: str | float = "14d",
) -> RolloutPolicy:
    """Say how a passed candidate meets traffic and what decides.

    ``share`` of the rows is answered by the challenger; every row is scored by both, so that
    losses are paired. It is promoted once its mean bounded loss is shown to be lower than the
    champion's by more than ``margin`` at level ``alpha``, and rolled back once shown to be higher
    by more than ``margin`` at ``harm_alpha``, both however often one looks.

    >>> Rollout(share=0.1, min_period="2d").min_period_s
    172800.0
    """
    within("share", share, 0, 1)
    within("alpha", alpha, 0, 1)
    within("harm_alpha", harm_alpha, 0, 1)
    return RolloutPolicy(
        strategy=Strategy(strategy),
        share=share,
        alpha=alpha,
        harm_alpha=harm_alpha,
        margin=margin,
        min_period_s=seconds(min_period, "min_period"),
        max_period_s=seconds(max_period, "max_period"),
        watch_s=seconds(watch, "watch"),
    )


def Retraining(  # noqa: N802
    *,
    on_drift: Literal["check", "retrain", "note"] = "check",
    on_performance: Literal["check", "retrain", "note"] = "retrain",
    check_every: str | float | None = "7d",
    max_age: str | float | None = None,
    schedule: str | None = None,
    tz: str = "UTC",
    cooldown: str | float = "14d",
    budget: int = 50,
    history: str | float | None = None,
    max_rows: int = 200_000,
    holdout: str | float = "7d",
    value_per_loss: float = 1.0,
    cost: float = 0.0,
) -> RetrainingPolicy:
    """Say when a new version is trained, and on what.

    ``check`` measures regret first: would a fresh model do better on the newest labelled rows
    by enough to pay for a retraining? ``holdout`` is the stretch of newest labelled rows kept
    for the gate. ``schedule`` is cron, such as ``"30 2 * * 1"``, on the wall clock of ``tz``; it
    asks for a retraining, which the loop declines inside its ``cooldown``.

    >>> Retraining(schedule="30 2 * * 1", tz="Europe/Berlin").schedule_tz
    'Europe/Berlin'
    """
    return RetrainingPolicy(
        on_drift=on_drift,
        on_performance=on_performance,
        check_every_s=None if check_every is None else seconds(check_every, "check_every"),
        max_age_s=None if max_age is None else seconds(max_age, "max_age"),
        schedule=schedule,
        schedule_tz=tz,
        cooldown_s=seconds(cooldown, "cooldown"),
        budget=budget,
        history_s=None if history is None else seconds(history, "history"),
        max_rows=max_rows,
        holdout_s=seconds(holdout, "holdout"),
        value_per_loss=value_per_loss,
        cost=cost,
    )
