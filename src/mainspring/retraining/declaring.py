"""Say how a candidate meets traffic and when a new version is trained: the words a user types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from mainspring.ground.bounds import within
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.monitors import AlarmKind
from mainspring.ground.objects import (
    Freeze as FreezeRecord,
)
from mainspring.ground.objects import (
    RetrainingPolicy,
    RolloutPolicy,
    RowsPolicy,
    Strategy,
    Wish,
)
from mainspring.ground.training import check_windows


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
    fdr: float | None = None,
    max_errors: float = 0.01,
    slow_ms: float | None = None,
    max_slow: float = 0.05,
) -> RolloutPolicy:
    """Say how a passed candidate meets traffic and what decides.

    ``share`` of the rows is answered by the challenger; every row is scored by both, so that
    losses are paired. It is promoted once its mean bounded loss is shown to be lower than the
    champion's by more than ``margin`` at level ``alpha``, and rolled back once shown to be higher
    by more than ``margin`` at ``harm_alpha``, both however often one looks.

    A challenger also goes home once more than ``max_errors`` of its scorings fail, or more than
    ``max_slow`` of them take longer than ``slow_ms``, each shown at ``harm_alpha``. With ``fdr``
    the loops of a home that declare it are a fleet: of their promotions at most that share is
    of challengers that are not better, on average, and some wait for more evidence.

    >>> Rollout(share=0.1, min_period="2d").min_period_s
    172800.0
    """
    within("share", share, 0, 1)
    within("alpha", alpha, 0, 1)
    within("harm_alpha", harm_alpha, 0, 1)
    within("max_errors", max_errors, 0, 1)
    within("max_slow", max_slow, 0, 1)
    if fdr is not None:
        within("fdr", fdr, 0, 1)
    if slow_ms is not None and slow_ms <= 0:
        raise BadInputError(f"slow_ms must be above 0, found {slow_ms}.", field="slow_ms")
    return RolloutPolicy(
        strategy=Strategy(strategy),
        share=share,
        alpha=alpha,
        harm_alpha=harm_alpha,
        margin=margin,
        min_period_s=seconds(min_period, "min_period"),
        max_period_s=seconds(max_period, "max_period"),
        watch_s=seconds(watch, "watch"),
        fdr=fdr,
        max_errors=max_errors,
        slow_ms=slow_ms,
        max_slow=max_slow,
    )


#: The greatest age that is measured, not declared.
MEASURED = "measured"


def Freeze(  # noqa: N802
    cron: str, lasts: str | float, *, tz: str = "UTC", why: str = ""
) -> FreezeRecord:
    """Say when a loop begins nothing: no training, no rollout, no promotion.

    It begins whenever ``cron`` says so on the wall clock of ``tz`` and ``lasts`` that long.
    A champion that breaks goes back all the same, and a challenger that does harm goes home.

    >>> Freeze("0 18 * * 5", "62h", tz="Europe/Berlin").for_s  # from Friday evening on
    223200.0
    """
    return FreezeRecord(cron=cron, for_s=seconds(lasts, "lasts"), tz=tz, why=why)


def Retraining(  # noqa: N802
    *,
    on_drift: Wish = "check",
    on_performance: Wish = "retrain",
    on: Mapping[str, Wish] | None = None,
    every_rows: int | None = None,
    every_labels: int | None = None,
    on_data: Sequence[str] = (),
    check_every: str | float | None = "7d",
    check_cooldown: str | float = "7d",
    check_labels: int | None = None,
    max_age: str | float | None = None,
    schedule: str | None = None,
    tz: str = "UTC",
    cooldown: str | float = "14d",
    budget: int = 50,
    budget_minutes: float | None = None,
    freeze: FreezeRecord | Sequence[FreezeRecord] = (),
    history: str | float | None = None,
    max_rows: int = 200_000,
    holdout: str | float = "7d",
    value_per_loss: float = 1.0,
    cost: float = 0.0,
    source: Callable[[float, float], Any] | str | None = None,
    source_id: str | None = None,
    known_at: str | None = None,
    windows: Sequence[str] = (),
    decision: str | None = None,
    random_share: float | None = None,
    leaks: Literal["report", "refuse"] = "report",
) -> RetrainingPolicy:
    """Say when a new version is trained, and on what.

    ``check`` measures regret first: would a fresh model do better on the newest labelled rows
    by enough to pay for a retraining? ``holdout`` is the stretch of newest labelled rows kept
    for the gate. ``schedule`` is cron, such as ``"30 2 * * 1"``, on the wall clock of ``tz``; it
    asks for a retraining, which the loop declines inside its ``cooldown``.

    ``on`` says what each kind of alarm is worth, over ``on_drift`` and ``on_performance``:
    ``{"concept": "retrain", "rule:hot": "check", "drift:price": "note"}``. ``every_rows`` and
    ``every_labels`` train once so many came since the last training; a new version of a dataset
    that ``on_data`` names asks for one, and waits for the cool-down. Regret is measured
    every ``check_every``; for an alarm, not again within ``check_cooldown`` unless
    ``check_labels`` new labels came. ``freeze`` holds everything that would begin. ``max_age``
    trains what is merely old, though a check said no; ``"measured"`` is the limit of the model's
    newest staleness curve (``mainspring loop staleness``).

    >>> Retraining(schedule="30 2 * * 1", tz="Europe/Berlin").schedule_tz
    'Europe/Berlin'
    """
    return RetrainingPolicy(
        on_drift=on_drift,
        on_performance=on_performance,
        on=_wishes(on or {}),
        every_rows=_count("every_rows", every_rows),
        every_labels=_count("every_labels", every_labels),
        on_data=list(on_data),
        check_cooldown_s=seconds(check_cooldown, "check_cooldown"),
        check_labels=_count("check_labels", check_labels),
        budget_s=None if budget_minutes is None else budget_minutes * 60,
        freeze=[freeze] if isinstance(freeze, FreezeRecord) else list(freeze),
        check_every_s=None if check_every is None else _apart(check_every),
        max_age_s=None if max_age in (None, MEASURED) else seconds(max_age or 0, "max_age"),
        max_age_measured=max_age == MEASURED,
        schedule=schedule,
        schedule_tz=tz,
        cooldown_s=seconds(cooldown, "cooldown"),
        budget=budget,
        history_s=None if history is None else seconds(history, "history"),
        max_rows=max_rows,
        holdout_s=seconds(holdout, "holdout"),
        value_per_loss=value_per_loss,
        cost=cost,
        rows=rows_policy(
            source, source_id, known_at, windows, decision, random_share, leaks == "refuse"
        ),
    )


def _wishes(on: Mapping[str, Wish]) -> dict[str, Wish]:
    """Return what is to be done about alarms, if every kind and every wish is known.

    Raises:
        BadInputError: naming the one that is not.
    """
    check_wishes(on, "on")
    return dict(on)


def check_wishes(on: Mapping[str, str], field: str) -> None:
    """Refuse a kind of alarm that there is not, or a wish that is none.

    Raises:
        BadInputError: naming it and what there is.
    """
    kinds, wishes = get_args(AlarmKind), get_args(Wish)
    for key, wish in on.items():
        kind = key.partition(":")[0]
        if kind not in kinds:
            raise BadInputError(
                f"{field} names alarms by kind, found {key[:80]!r}.",
                field=field,
                hint=f"Kinds: {', '.join(kinds)}; one subject of them: drift:price.",
            )
        if wish not in wishes:
            raise BadInputError(
                f"{field}[{key!r}] must be one of {', '.join(wishes)}, found {wish!r}.",
                field=field,
            )


def _count(field: str, number: int | None) -> int | None:
    if number is not None and number < 1:
        raise BadInputError(f"{field} must be 1 or more, found {number}.", field=field)
    return number


def rows_policy(
    source: Callable[[float, float], Any] | str | None,
    source_id: str | None,
    known_at: str | None,
    windows: Sequence[str],
    decision: str | None,
    random_share: float | None,
    refuse: bool,
) -> RowsPolicy:
    """Return what a retraining learns from, checked.

    Raises:
        BadInputError: naming the option that cannot be.
    """
    for field, value in (("source_id", source_id), ("known_at", known_at)):
        if value is not None and source is None:
            raise BadInputError(
                f"{field} is a column of a source, and none is named.", field=field
            )
    if decision is not None and not decision.strip():
        raise BadInputError("decision is a condition, such as score >= 0.5.", field="decision")
    if random_share is not None:
        within("random_share", random_share, 0, 1)
    return RowsPolicy(
        source=_named(source),
        source_id=source_id,
        known_at=known_at,
        windows=check_windows(windows),
        decision=decision,
        random_share=random_share,
        refuse_leaks=refuse,
    )


def _named(source: Callable[[float, float], Any] | str | None) -> str | None:
    """Return a file as it was named, or how another process finds a function."""
    if source is None or isinstance(source, str):
        return source
    if "<" in getattr(source, "__qualname__", "<"):
        raise BadInputError(
            f"source is a function at the top level of the project, or a file, found {source!r}.",
            field="source",
        )
    return f"{source.__module__}:{source.__qualname__}"


def _apart(check_every: str | float) -> float:
    """Return how far apart regular checks are; without a stretch between them they never end."""
    found = seconds(check_every, "check_every")
    if found <= 0:
        raise BadInputError(
            "check_every must be longer than 0 s.",
            field="check_every",
            hint="None leaves the regular check out.",
        )
    return found
