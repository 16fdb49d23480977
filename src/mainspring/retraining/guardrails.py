"""End a rollout for what shows at once: a version that fails, is slow, sticks or strays.

Losses tell which version is right, and only once labels came. Whether a version fails or keeps
callers waiting is known at once, and so is how its answers look beside the other's on the same
rows. These rails need no set-up; each is a test by betting that may be looked at at any moment:

* **failed**: more than ``max_errors`` of its scorings raise, or give scores that are none.
* **slow**: more than a quarter of them take over ``slowdown`` times the other's time on the same
  rows, and 2 ms more; or more than ``max_slow`` of them longer than ``slow_ms``, if declared.
* **stuck**: on more than 95 % of the rows on which the other's score moves, its own does not.
* **shifted**: its scores are, on average, further from the other's than the two can be if both
  are as good as the gate found them: the root of the loss of one against the other is at most the
  sum of the roots of both losses (triangle inequality), plus what is not material (0.05).

The rails in force share ``harm_alpha``: where a version is within all of its budgets, it is sent
home by any of them with chance at most ``harm_alpha``, however often one looks. After a promotion
the same rails but the last hold for the champion beside the one before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

from mainspring.ground.monitors import LATENCY_EDGES_S, Pair
from mainspring.ground.objects import Rollout, RolloutPolicy
from mainspring.numerics.sequential import above, binned, counted
from mainspring.retraining.challenge import Verdict

#: More than a quarter: a first call, or a busy second, is no slow version.
MAX_SLOWER = 0.25
MAX_STUCK = 0.95
#: A mean difference of scores that is not material, added to what the gate's losses allow.
IMMATERIAL = 0.05
#: Where no gate measured both on the same rows: half of all the difference there can be.
UNKNOWN_SHIFT = 0.5
#: A limit above it could not be shown to be crossed by anything.
NO_LIMIT = 0.95


class Rail(NamedTuple):
    """One guard rail as it stands."""

    name: str
    told: str  #: what the bad rows are, such as "scorings failed"
    bad: float
    of: int
    budget: float
    wealth: float


def harm(
    rollout: Rollout,
    policy: RolloutPolicy,
    pair: Pair,
    limit: float | None = None,
    version: int | None = None,
) -> Verdict | None:
    """Return how the guard rails end a rollout, or None while they do not.

    ``pair`` is what was counted of ``version`` (the challenger; in a watch the champion) since
    the rollout began, ``limit`` the greatest mean difference of scores (:func:`shift_limit`).
    """
    number = version or (rollout.champion if rollout.purpose == "watch" else rollout.challenger)
    limit = None if rollout.purpose == "watch" else limit
    found = rails(policy, pair, limit)
    if not found:
        return None
    enough = needed(rollout, policy, found)
    for one in found:
        if one.wealth >= enough:
            return _said(number, one, policy, 1 / enough, pair)
    return None


def needed(rollout: Rollout, policy: RolloutPolicy, found: list[Rail]) -> float:
    """Return the evidence at which a rail is crossed: all rails of all arms share harm_alpha."""
    return len(found) * max(len(rollout.arms) - 1, 1) / policy.harm_alpha


def rails(policy: RolloutPolicy, pair: Pair, limit: float | None = None) -> list[Rail]:
    """Return how each rail in force stands."""
    if not policy.guard:
        return []
    found = []
    if policy.max_errors < 1:
        found.append(_counted("failed", "failed", pair.failed, pair.tried, policy.max_errors))
    if policy.slow_ms is not None and policy.max_slow < 1:
        slow, told = slower(pair.mine, policy.slow_ms), f"took longer than {policy.slow_ms:g} ms"
        found.append(_counted("slow", told, slow, sum(pair.mine.values()), policy.max_slow))
    if policy.slowdown is not None:
        told = f"took over {policy.slowdown:g} times as long as the other on the same rows"
        found.append(_counted("slower", told, pair.slow, pair.timed, MAX_SLOWER))
    told = "rows on which the other's score moved and its own did not"
    wealth = above(pair.stuck, pair.moved, MAX_STUCK)
    found.append(Rail("stuck", told, pair.stuck, pair.moved, MAX_STUCK, wealth))
    if limit is not None:
        places = sorted(pair.shifts)
        far = [place / 20 for place in places]
        often = [pair.shifts[place] for place in places]
        mean = sum(a * b for a, b in zip(far, often, strict=True)) / max(pair.rows, 1)
        wealth = binned(far, often, limit) if places else 1.0
        found.append(Rail("shifted", "mean difference of scores", mean, pair.rows, limit, wealth))
    return found


def _counted(name: str, told: str, bad: int, of: int, budget: float) -> Rail:
    return Rail(name, f"scorings {told}", bad, of, budget, counted(bad, of, budget))


def shift_limit(policy: RolloutPolicy, losses: tuple[float, float] | None) -> float | None:
    """Return the mean difference of scores that two versions may have, or None for any.

    ``losses`` are the mean losses of both on the same fresh rows, as a gate found them.

    >>> shift_limit(RolloutPolicy(), (0.01, 0.04))
    0.35
    >>> shift_limit(RolloutPolicy(), None), shift_limit(RolloutPolicy(max_shift=0.2), None)
    (0.5, 0.2)
    """
    if policy.max_shift is not None:
        limit = policy.max_shift
    elif losses is None:
        limit = UNKNOWN_SHIFT
    else:
        limit = round(sum(math.sqrt(max(loss, 0.0)) for loss in losses) + IMMATERIAL, 6)
    return None if limit > NO_LIMIT else limit


def slower(latencies: dict[int, int], slow_ms: float) -> int:
    """Return how many scorings surely took longer, by the edges of the buckets.

    A bucket that holds the limit counts as quick: its edges are 30 % apart, and what is not sure
    is not held against a challenger.
    """
    first = bisect_left(LATENCY_EDGES_S, slow_ms / 1000) + 1
    return sum(count for bucket, count in latencies.items() if bucket >= first)


def _said(number: int, rail: Rail, policy: RolloutPolicy, alpha: float, pair: Pair) -> Verdict:
    if rail.name == "shifted":
        what = (
            f"its scores are {rail.bad:.3f} from the other's on {rail.of:,} rows, on average, and"
            f" {rail.budget:.3f} may be"
        )
    else:
        what = (
            f"{rail.bad:,} of {rail.of:,} {rail.told} ({rail.bad / rail.of:.1%}), and"
            f" {rail.budget:.1%} may"
        )
    if rail.name == "failed" and pair.odd:
        what += f"; {pair.odd:,} of them by scores that are not finite, or too many or few"
    reason = (
        f"Version {number} does harm: {what}. The evidence reached {_figure(rail.wealth)} and"
        f" {1 / alpha:.3g} was enough (alpha {policy.harm_alpha:g}, shared by the guard rails)."
    )
    evidence = {
        "guardrail": rail.name,
        "version": number,
        "bad": rail.bad,
        "scorings": rail.of,
        "share": rail.bad if rail.name == "shifted" else rail.bad / rail.of,
        "budget": rail.budget,
        "not_finite": pair.odd,
        "wealth_worse": min(rail.wealth, 1e300),
        "harm_alpha": policy.harm_alpha,
        "alpha": alpha,
    }
    return Verdict("worse", reason, evidence)


def _figure(wealth: float) -> str:
    return f"{wealth:.3g}" if wealth < 1e6 else "more than a million"
