"""Say how a candidate meets traffic and when a new version is trained: the words a user types."""

from __future__ import annotations

import itertools
import math
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
    Step,
    Strategy,
    Wish,
)
from mainspring.ground.training import check_windows

#: One share of a canary: 0.05, (0.05, "1h"), (0.05, "1h", 500) or "5%:1h:500:100", that is share,
#: least period, rows scored by both within the step, labels since the rollout began.
StepLike = float | str | tuple[Any, ...] | Step


def Rollout(  # noqa: N802  reads as the record it makes
    strategy: Literal["canary", "shadow", "linear", "blue_green"] = "canary",
    *,
    share: float = 0.2,
    steps: Sequence[StepLike] | str = (),
    every: str | float | None = None,
    bake: str | float = 0,
    alpha: float = 0.05,
    harm_alpha: float = 0.01,
    margin: float = 0.0,
    min_period: str | float = 0,
    max_period: str | float = "28d",
    watch: str | float = "14d",
    fdr: float | None = None,
    guard: bool = True,
    max_errors: float = 0.01,
    slow_ms: float | None = None,
    max_slow: float = 0.05,
    slowdown: float | None = 3.0,
    max_shift: float | None = None,
) -> RolloutPolicy:
    """Say how a passed candidate meets traffic and what decides.

    ``share`` of the rows is answered by the challenger; every row is scored by both, so that
    losses are paired. It is promoted once its mean bounded loss is shown to be lower than the
    champion's by more than ``margin`` at level ``alpha``, and rolled back once shown to be higher
    by more than ``margin`` at ``harm_alpha``, both however often one looks.

    A canary may go in ``steps``, each a share with the least period, rows and labels before the
    next; ``linear`` grows by ``share`` ``every`` so long, up to all rows. ``blue_green`` lets the
    challenger answer all at once. ``bake`` is how long the last share is kept at the least.

    A challenger also goes home by guard rails that need no labels, unless ``guard`` is off: once
    more than ``max_errors`` of its scorings fail; once it takes over ``slowdown`` times as long as
    the champion on the same rows; once its scores stand still where the champion's move; once
    they are further from the champion's than ``max_shift``, on average, or than the gate's losses
    allow. Or once more than ``max_slow`` of its scorings take longer than ``slow_ms``. All of
    them share ``harm_alpha``. With ``fdr`` the loops of a home that declare it are a fleet: of
    their promotions at most that share is of challengers that are not better, on average, and
    some wait for more evidence.

    >>> Rollout(share=0.1, min_period="2d").min_period_s
    172800.0
    >>> [step.share for step in Rollout(steps="5%:1h:500,20%:1h,50%:1d").steps]
    [0.05, 0.2, 0.5]
    >>> len(Rollout("linear", share=0.1, every="30m").steps)
    10
    """
    within("share", share, 0, 1)
    within("alpha", alpha, 0, 1)
    within("harm_alpha", harm_alpha, 0, 1)
    within("max_errors", max_errors, 0, 1)
    within("max_slow", max_slow, 0, 1)
    if fdr is not None:
        within("fdr", fdr, 0, 1)
    if max_shift is not None:
        within("max_shift", max_shift, 0, 1)
    if slow_ms is not None and slow_ms <= 0:
        raise BadInputError(f"slow_ms must be above 0, found {slow_ms}.", field="slow_ms")
    if slowdown is not None and slowdown < 1:
        raise BadInputError(f"slowdown must be 1 or more, found {slowdown}.", field="slowdown")
    planned = _steps(Strategy(strategy), steps, share, every)
    return RolloutPolicy(
        strategy=Strategy(strategy),
        share=planned[0].share if planned else share,
        steps=planned,
        bake_s=seconds(bake, "bake"),
        alpha=alpha,
        harm_alpha=harm_alpha,
        margin=margin,
        min_period_s=seconds(min_period, "min_period"),
        max_period_s=seconds(max_period, "max_period"),
        watch_s=seconds(watch, "watch"),
        fdr=fdr,
        guard=guard,
        max_errors=max_errors,
        slow_ms=slow_ms,
        max_slow=max_slow,
        slowdown=slowdown,
        max_shift=max_shift,
    )


def _steps(
    strategy: Strategy, steps: Sequence[StepLike] | str, share: float, every: str | float | None
) -> list[Step]:
    """Return the steps of a canary as said, or those of a linear rollout."""
    if strategy is not Strategy.LINEAR and every is not None:
        raise BadInputError("every belongs to a linear rollout.", field="every")
    if strategy is Strategy.LINEAR:
        if steps:
            raise BadInputError("A linear rollout makes its own steps.", field="steps")
        if every is None or share <= 0:
            raise BadInputError(
                "A linear rollout grows by a share every so long.",
                field="every",
                hint='Write Rollout("linear", share=0.1, every="1h").',
            )
        apart, count = seconds(every, "every"), math.ceil(1 / share - 1e-9)
        if count > MOST_STEPS:
            raise BadInputError(
                f"That would be {count} steps, at most {MOST_STEPS}.", field="share"
            )
        return [
            Step(share=min(share * (at + 1), 1.0), min_period_s=apart if at + 1 < count else 0.0)
            for at in range(count)
        ]
    if steps and strategy is not Strategy.CANARY:
        raise BadInputError(f"A {strategy} rollout has no steps.", field="steps")
    several = [one for one in steps.split(",") if one] if isinstance(steps, str) else steps
    found = [_step(one) for one in several]
    if len(found) > MOST_STEPS:
        raise BadInputError(f"At most {MOST_STEPS} steps, found {len(found)}.", field="steps")
    for before, after in itertools.pairwise(found):
        if after.share <= before.share:
            raise BadInputError(
                f"Steps grow, found {before.share:g} before {after.share:g}.", field="steps"
            )
    return found


MOST_STEPS = 100


def _step(said: StepLike) -> Step:
    if isinstance(said, Step):
        return said
    parts: list[Any] = [said]
    if isinstance(said, str):
        parts = said.strip().split(":")
    elif isinstance(said, tuple):
        parts = list(said)
    if not 1 <= len(parts) <= 4:
        raise BadInputError(
            f"{said!r} is no step.", field="steps", hint="Write 5%:1h:500, share:period:rows."
        )
    share = _share(parts[0])
    period = seconds(parts[1], "steps") if len(parts) > 1 and parts[1] != "" else 0.0
    try:
        rows, labels = (int(parts[n]) if len(parts) > n and parts[n] != "" else 0 for n in (2, 3))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{said!r}: rows and labels are counts.", field="steps") from error
    return Step(share=share, min_period_s=period, rows=rows, labels=labels)


def _share(said: Any) -> float:
    text = str(said).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise BadInputError(f"{said!r} is no share.", field="steps") from error
    within("share", share, 0, 1)
    return share


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
