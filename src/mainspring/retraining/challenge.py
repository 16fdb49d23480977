"""Champion against challenger, label by label, decided by evidence that may be looked at often.

Two tests run side by side on d = loss(champion) - loss(challenger) of the same rows, each the
mixture of bets of :mod:`mainspring.numerics.sequential`:

* **better** doubts "the challenger is not better by more than the margin". Once its wealth has
  reached 1 / alpha the challenger has won, and waits for ``min_period_s`` only.
* **worse** doubts "the challenger is not worse by more than the margin". At 1 / harm_alpha the
  rollout ends at once.

Whatever is true, a challenger that is not better is promoted with chance at most alpha, and one
that is not worse is withdrawn as harmful with chance at most harm_alpha.

After a promotion the same runs as a **watch**: the roles are changed, the champion before is
the challenger. There "better" says that the new champion broke; it is asked for at harm_alpha
and waits for nothing. A watch has no other end than its time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import DAY_S, Rollout, RolloutPolicy
from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.fleet import e_bh
from mainspring.numerics.sequential import BETS, Wealth, crossed, peak_value, update, value

Outcome = Literal["better", "worse", "undecided"]


class Verdict(NamedTuple):
    """How a rollout ended, in one sentence and in figures."""

    verdict: Outcome
    reason: str
    evidence: dict[str, Any]


class Standing(NamedTuple):
    """Where a rollout stands. Differences are loss(champion) - loss(challenger), above 0 good."""

    rows: int
    difference: float  #: mean so far
    low: float  #: about the difference that is exceeded with confidence 1 - alpha, at any time
    better: float  #: wealth of the promotion test now
    better_peak: float
    worse: float  #: wealth of the harm test now
    worse_peak: float


def advance(
    rollout: Rollout,
    losses_champion: npt.ArrayLike,
    losses_challenger: npt.ArrayLike,
    policy: RolloutPolicy,
    cursor: int | None = None,
) -> Rollout:
    """Return the rollout after more labelled rows that both versions scored.

    Losses are in [0, 1], shape (rows,), in the order the labels came. How they are cut into
    calls does not matter. ``cursor`` is the last label batch taken into account.

    Raises:
        ShapesDifferError: if the losses do not belong to the same rows.
        OutOfRangeError: if a loss is missing or outside [0, 1].
    """
    champion = np.asarray(losses_champion, dtype=np.float64)
    challenger = np.asarray(losses_challenger, dtype=np.float64)
    if champion.shape != challenger.shape:
        raise ShapesDifferError(
            f"A rollout pairs losses of the same rows, found {champion.shape} and "
            f"{challenger.shape}."
        )
    gained = champion - challenger
    better = update(_wealth(rollout.better), gained, policy.margin)
    worse = update(_wealth(rollout.worse), -gained, policy.margin)
    return msgspec.structs.replace(
        rollout,
        better=better.to_list(),
        worse=worse.to_list(),
        rows=better.seen,
        cursor=rollout.cursor if cursor is None else cursor,
    )


def verdict(
    rollout: Rollout, policy: RolloutPolicy, now: float, fleet: Sequence[float] = ()
) -> Verdict | None:
    """Return how the rollout ends at event time ``now``, or None while it goes on.

    Harm counts at any moment; being better counts from ``min_period_s`` on and once the steps
    and the baking are over (:func:`finished`). It stays shown once it was, but a challenger whose
    mean difference has fallen back to the margin waits until it leads again; at
    ``max_period_s`` what is not decided ends undecided. A watch ends "better" when the champion
    broke, and "undecided" after ``watch_s``.

    ``fleet`` is the evidence (:func:`evidence_of`) of the other rollouts of the fleet. Where the
    policy says ``fdr``, a challenger is promoted only if e-BH over all of them lets it.
    """
    better, worse = _wealth(rollout.better), _wealth(rollout.worse)
    age = now - rollout.started
    if rollout.purpose == "watch":
        if crossed(better, policy.harm_alpha):
            return _said("better", rollout, policy, age, _BROKE)
        return _said("undecided", rollout, policy, age, _HELD) if age >= policy.watch_s else None
    if crossed(worse, policy.harm_alpha):
        return _said("worse", rollout, policy, age, _WORSE)
    shown = crossed(better, policy.alpha) and age >= policy.min_period_s
    shown = shown and finished(rollout, policy, now)
    if shown and _leads(rollout, policy) and _stands_out(rollout, policy, fleet):
        words = _BETTER if policy.fdr is None else _BETTER + _IN_THE_FLEET
        return _said("better", rollout, policy, age, words, len(fleet))
    if age >= policy.max_period_s:
        return _said("undecided", rollout, policy, age, _UNDECIDED)
    return None


def finished(rollout: Rollout, policy: RolloutPolicy, now: float) -> bool:
    """Return whether all steps were taken, and the last share has been baked long enough."""
    if rollout.step < len(policy.steps) - 1:
        return False
    last = policy.steps[-1].min_period_s if policy.steps else 0.0
    since = rollout.started if rollout.stepped is None else rollout.stepped
    return now - since >= last + policy.bake_s


def may_step(rollout: Rollout, policy: RolloutPolicy, now: float, rows: int) -> bool:
    """Return whether the next step may be taken at event time ``now``.

    ``rows`` were scored by both since the rollout began. Guard rails and the harm test are not
    asked: either would have ended the rollout.
    """
    if rollout.purpose == "watch" or rollout.step >= len(policy.steps) - 1:
        return False
    here = policy.steps[rollout.step]
    since = rollout.started if rollout.stepped is None else rollout.stepped
    return (
        now - since >= here.min_period_s
        and rows - rollout.step_rows >= here.rows
        and rollout.rows >= here.labels
    )


def standing(rollout: Rollout, policy: RolloutPolicy) -> Standing:
    """Return where a rollout stands, from the few numbers that it stores."""
    better, worse = _wealth(rollout.better), _wealth(rollout.worse)
    mean, square = _moments(better, worse, policy.margin)
    return Standing(
        rows=rollout.rows,
        difference=mean,
        low=_about_low(rollout.rows, mean, square, policy.alpha),
        better=value(better),
        better_peak=peak_value(better),
        worse=value(worse),
        worse_peak=peak_value(worse),
    )


def evidence_of(rollout: Rollout) -> float:
    """Return the evidence that a challenger is better, as one of a fleet: its wealth now.

    Of a rollout that ended it is what it was at its end. Unlike the highest it ever was, it has
    a mean of at most 1 where the challenger is no better, which is what e-BH asks for.
    """
    return value(_wealth(rollout.better))


def _stands_out(rollout: Rollout, policy: RolloutPolicy, fleet: Sequence[float]) -> bool:
    if policy.fdr is None:
        return True
    return bool(e_bh([evidence_of(rollout), *fleet], policy.fdr)[0])


def _leads(rollout: Rollout, policy: RolloutPolicy) -> bool:
    # Rows of one storm or one sale can carry a test over its bar before the least period ends.
    return standing(rollout, policy).difference > policy.margin


_BETTER = (
    "Version {challenger} is better than champion {champion}: {figures}. The evidence reached "
    "{better_peak} and {better_needed} was needed (alpha {alpha:g})."
)
_IN_THE_FLEET = (
    " It holds among {fleet} rollouts of the fleet:"
    " of such promotions at most {fdr:.0%} are wrong."
)
_WORSE = (
    "Version {challenger} is worse than champion {champion}: {figures}. The evidence of harm "
    "reached {worse_peak} and {worse_needed} was enough (alpha {harm_alpha:g})."
)
_UNDECIDED = (
    "Version {challenger} was not shown to be better than champion {champion} in {days:.3g} "
    "days: {figures}. The evidence reached {better_peak} of the {better_needed} needed."
)
_BROKE = (
    "Champion {champion} does worse than version {challenger} before it: {figures}. The evidence "
    "reached {better_peak} and {worse_needed} was enough (alpha {harm_alpha:g})."
)
_HELD = (
    "Champion {champion} held against version {challenger} before it for {days:.3g} days: "
    "{figures}."
)


def _said(
    outcome: Outcome,
    rollout: Rollout,
    policy: RolloutPolicy,
    age: float,
    words: str,
    others: int = 0,
) -> Verdict:
    now = standing(rollout, policy)
    figures = "no labelled row was scored by both"
    if now.rows:
        figures = (
            f"mean loss {abs(now.difference):.4f} {'lower' if now.difference >= 0 else 'higher'}"
            f" for {rollout.challenger} on {now.rows} labelled rows"
        )
        # The bound has something to say only where it is away from "nothing refuted".
        figures += f", at least {now.low:.4f} lower" if now.low > 0 else ""
    reason = words.format(
        challenger=rollout.challenger,
        champion=rollout.champion,
        figures=figures,
        days=age / DAY_S,
        alpha=policy.alpha,
        harm_alpha=policy.harm_alpha,
        fleet=others + 1,
        fdr=policy.fdr or 0.0,
        better_peak=_figure(now.better_peak),
        worse_peak=_figure(now.worse_peak),
        better_needed=_figure(1 / policy.alpha),
        worse_needed=_figure(1 / policy.harm_alpha),
    )
    evidence = {
        "rows": now.rows,
        "difference": now.difference,
        "low": now.low,
        # JSON has no infinity; beyond 1e300 nobody tells the difference.
        "wealth_better": min(now.better_peak, 1e300),
        "wealth_worse": min(now.worse_peak, 1e300),
        "alpha": policy.alpha,
        "harm_alpha": policy.harm_alpha,
        "margin": policy.margin,
        "age_s": age,
    }
    if policy.fdr is not None:
        evidence |= {"fleet": others + 1, "fdr": policy.fdr}
    return Verdict(outcome, reason, evidence)


def _figure(wealth: float) -> str:
    return f"{wealth:.3g}" if wealth < 1e6 else "more than a million"


def _wealth(stored: list[float]) -> Wealth:
    return Wealth.from_list(stored) if stored else Wealth()


def _moments(better: Wealth, worse: Wealth, margin: float) -> tuple[float, float]:
    """Read the mean of d and of d squared out of the two smallest bets.

    With c = bet / (1 + margin) and a = 1 - c * margin, the two log-wealths are the sums of
    log(a + c d) and log(a - c d). Their difference is 2 atanh(c d / a), their sum log(a^2 - c^2
    d^2), so for a bet of 0.005 the first moment is exact to 1 part in 100,000.
    """
    if better.seen == 0:
        return 0.0, 0.0
    c = BETS[0] / (1 + max(margin, 0.0))
    a = 1 - c * margin
    mean = (better.logs[0] - worse.logs[0]) * a / (2 * c) / better.seen
    both = (better.logs[0] + worse.logs[0]) / better.seen - 2 * math.log(a)
    square = max(-both, 0.0) * (a / c) ** 2
    return mean, min(max(square, mean * mean), 1.0)


def _about_low(rows: int, mean: float, square: float, alpha: float) -> float:
    """Return about the margin that the wealth would just refute, from the two moments.

    The exact bound (``numerics.sequential.lower_bound``) needs every difference; here log(1 +
    x) is taken as x - x^2 / 2, which is close for small bets and small differences. For
    display: the verdict never rests on it.
    """
    if rows == 0:
        return -1.0
    bets = np.array(BETS)
    low, high = -1.0, 1.0
    for _ in range(40):
        margin = (low + high) / 2
        first, second = mean - margin, square - 2 * margin * mean + margin * margin
        scaled = bets / (1 + max(margin, 0.0))
        logs = rows * (scaled * first - scaled**2 * second / 2)
        top = float(logs.max())
        if top + math.log(float(np.exp(logs - top).mean())) >= -math.log(alpha):
            low = margin
        else:
            high = margin
    return low
