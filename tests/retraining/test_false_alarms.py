"""A/A rollouts keep their stated error rate, looked at a thousand times each.

Each simulated version is exactly as ill as its budgets let it be, which is the worst case: 1 % of
its scorings fail, a quarter are slow, it stands still on 95 % of the rows, and its scores are as
far from the other's as they may be.
"""

import numpy as np
import pytest

from mainspring.ground.monitors import Pair
from mainspring.ground.objects import Rollout, RolloutPolicy, Strategy
from mainspring.numerics.sequential import Wealth, above, peak_value, update
from mainspring.retraining.guardrails import MAX_SLOWER, MAX_STUCK, harm

LOOKS, EACH = 1_000, 10
LIMIT = 0.3
ROLLOUT = Rollout(
    id="r", endpoint="e", model="m", champion=1, challenger=2, strategy=Strategy.CANARY,
    share=0.2, state="running", started=0.0,
)  # fmt: skip


def sent_home(seed: int, policy: RolloutPolicy, looks: int) -> bool:
    """Return whether any of so many looks ends an A/A rollout."""
    random, size = np.random.default_rng(seed), (looks, EACH)
    failed = np.cumsum((random.random(size) < policy.max_errors).sum(axis=1))
    slow = np.cumsum((random.random(size) < MAX_SLOWER).sum(axis=1))
    stuck = np.cumsum((random.random(size) < MAX_STUCK).sum(axis=1))
    far = np.cumsum((random.random(size) < LIMIT / 0.95).sum(axis=1))  # of 0.95, else of 0
    for look in range(looks):
        of = (look + 1) * EACH
        counts = Pair(
            tried=of,
            failed=int(failed[look]),
            timed=of,
            slow=int(slow[look]),
            moved=of,
            stuck=int(stuck[look]),
            rows=of,
            shifts={19: int(far[look]), 0: of - int(far[look])},
        )
        if harm(ROLLOUT, policy, counts, LIMIT) is not None:
            return True
    return False


def test_all_guard_rails_together_send_home_no_more_than_their_alpha():
    policy, runs = RolloutPolicy(harm_alpha=0.2), 20
    ended = sum(sent_home(seed, policy, LOOKS) for seed in range(runs))
    assert ended / runs <= 0.2


@pytest.mark.soak
def test_a_thousand_rollouts_of_a_thousand_looks_keep_the_default_rate():
    ended = sum(sent_home(seed, RolloutPolicy(), LOOKS) for seed in range(1_000))
    assert ended / 1_000 <= 0.01


@pytest.mark.parametrize("budget", [0.01, MAX_SLOWER])
def test_a_rail_of_counts_is_crossed_by_chance_no_more_often_than_it_says(budget):
    """Looked at after every one of a thousand scorings, 2,000 times."""
    runs, alpha = 2_000, 0.05
    crossed = 0
    for seed in range(runs):
        bad = (np.random.default_rng(seed).random(LOOKS) < budget).astype(float)
        crossed += peak_value(update(Wealth(), bad, budget)) >= 1 / alpha
    assert crossed / runs <= alpha


def test_what_always_sticks_is_told_soon_and_what_often_does_by_chance_alone():
    """Looked at after every one of a thousand rows, 100 times; at alpha 0.2, 20 are expected."""
    runs, alpha, crossed = 100, 0.2, 0
    for seed in range(runs):
        hits = np.cumsum(np.random.default_rng(seed).random(LOOKS) < MAX_STUCK)
        crossed += any(above(int(hits[at]), at + 1, MAX_STUCK) >= 1 / alpha for at in range(LOOKS))
    assert crossed / runs <= alpha
    assert above(150, 150, MAX_STUCK) > 400
