"""End a rollout for what callers feel at once: a challenger that fails, or is slow.

Losses tell which version is right, and only once labels came. Whether a challenger fails or
keeps callers waiting is known at once, so two more tests run beside those of
:mod:`mainspring.retraining.challenge`: each doubts that the share of scorings that fail (or are
slow) is within its budget. Each ends the rollout with chance at most ``harm_alpha`` where it is,
however often one looks.
"""

from __future__ import annotations

from bisect import bisect_left

from mainspring.ground.monitors import LATENCY_EDGES_S, Tally
from mainspring.ground.objects import Rollout, RolloutPolicy
from mainspring.numerics.sequential import counted
from mainspring.retraining.challenge import Verdict


def harm(rollout: Rollout, policy: RolloutPolicy, counts: Tally) -> Verdict | None:
    """Return how the guardrails end a rollout, or None while they do not.

    ``counts`` are the challenger's scorings since the rollout began.
    """
    bounds = [("failed", counts.errors, counts.requests, policy.max_errors)]
    if policy.slow_ms is not None:
        answered = sum(counts.latencies.values())
        slow = slower(counts, policy.slow_ms)
        bounds.append((f"took longer than {policy.slow_ms:g} ms", slow, answered, policy.max_slow))
    for what, bad, of, budget in bounds:
        wealth = counted(bad, of, budget) if budget < 1 else 1.0
        if wealth >= 1 / policy.harm_alpha:
            return _said(rollout, policy, what, bad, of, budget, wealth)
    return None


def slower(counts: Tally, slow_ms: float) -> int:
    """Return how many scorings surely took longer, by the edges of the buckets.

    A bucket that holds the limit counts as quick: its edges are 30 % apart, and what is not sure
    is not held against a challenger.
    """
    first = bisect_left(LATENCY_EDGES_S, slow_ms / 1000) + 1
    return sum(count for bucket, count in counts.latencies.items() if bucket >= first)


def _said(
    rollout: Rollout,
    policy: RolloutPolicy,
    what: str,
    bad: int,
    of: int,
    budget: float,
    wealth: float,
) -> Verdict:
    reason = (
        f"Version {rollout.challenger} does harm: {bad:,} of {of:,} scorings {what}"
        f" ({bad / of:.1%}), and {budget:.1%} may. The evidence reached {_figure(wealth)} and"
        f" {1 / policy.harm_alpha:.3g} was enough (alpha {policy.harm_alpha:g})."
    )
    evidence = {
        "guardrail": what,
        "bad": bad,
        "scorings": of,
        "share": bad / of,
        "budget": budget,
        "wealth_worse": min(wealth, 1e300),
        "harm_alpha": policy.harm_alpha,
    }
    return Verdict("worse", reason, evidence)


def _figure(wealth: float) -> str:
    return f"{wealth:.3g}" if wealth < 1e6 else "more than a million"
