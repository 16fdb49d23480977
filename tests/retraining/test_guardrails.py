"""A challenger that fails or is slow goes home by what callers feel, and a healthy one stays."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.monitors import LATENCY_EDGES_S, Pair
from mainspring.ground.objects import Rollout, RolloutPolicy, Strategy
from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.sequential import Wealth, counted, update, value
from mainspring.retraining import declaring
from mainspring.retraining.guardrails import harm, shift_limit, slower

ROLLOUT = Rollout(
    id="r",
    endpoint="e",
    model="m",
    champion=1,
    challenger=2,
    strategy=Strategy.CANARY,
    share=0.2,
    state="running",
    started=0.0,
)


def pair(tried: int, failed: int = 0, mine: dict[int, int] | None = None, **more) -> Pair:
    return Pair(tried=tried, failed=failed, mine=mine or {}, **more)


def test_a_challenger_that_fails_too_often_goes_home_with_the_figures():
    found = harm(ROLLOUT, RolloutPolicy(), pair(1000, failed=60))
    assert found.verdict == "worse"
    assert found.reason.startswith(
        "Version 2 does harm: 60 of 1,000 scorings failed (6.0%), and 1.0% may."
    )
    assert found.evidence["bad"] == 60


def test_one_that_fails_always_is_stopped_within_twenty_scorings():
    assert harm(ROLLOUT, RolloutPolicy(), pair(20, failed=20)) is not None
    assert harm(ROLLOUT, RolloutPolicy(), pair(5, failed=5)) is None


def test_a_few_failures_within_the_budget_are_no_harm():
    assert harm(ROLLOUT, RolloutPolicy(), pair(10_000, failed=100)) is None
    assert harm(ROLLOUT, RolloutPolicy(), pair(0)) is None
    assert harm(ROLLOUT, RolloutPolicy(max_errors=1.0), pair(100, failed=100)) is None


def test_a_slow_one_goes_home_once_a_limit_is_declared():
    bucket = next(i for i, edge in enumerate(LATENCY_EDGES_S) if edge > 0.1)
    slow = pair(400, mine={bucket: 400})
    assert harm(ROLLOUT, RolloutPolicy(), slow) is None
    found = harm(ROLLOUT, RolloutPolicy(slow_ms=20), slow)
    assert "400 of 400 scorings took longer than 20 ms (100.0%), and 5.0% may" in found.reason
    assert harm(ROLLOUT, RolloutPolicy(slow_ms=500), slow) is None


@given(st.integers(0, 57), st.floats(0.1, 50_000))
def test_only_what_surely_took_longer_counts_as_slow(bucket, slow_ms):
    least = LATENCY_EDGES_S[bucket - 1] if bucket else 0.0  # of what is in the bucket
    counted_slow = slower({bucket: 1}, slow_ms) == 1
    assert counted_slow == (least >= slow_ms / 1000)


@given(st.lists(st.booleans(), max_size=60), st.sampled_from([0.0, 0.01, 0.05, 0.5]))
def test_two_counts_say_what_the_rows_one_by_one_would(bad, budget):
    rows = update(Wealth(), np.array(bad, dtype=float), budget)
    assert counted(sum(bad), len(bad), budget) == pytest.approx(value(rows), rel=1e-9)


@pytest.mark.parametrize(("bad", "of", "budget"), [(3, 2, 0.1), (-1, 2, 0.1), (0, 0, 1.0)])
def test_counts_that_cannot_be_are_refused(bad, of, budget):
    with pytest.raises(OutOfRangeError):
        counted(bad, of, budget)


def test_one_within_its_budget_is_stopped_no_more_often_than_promised():
    policy, stopped = RolloutPolicy(harm_alpha=0.05), 0
    for seed in range(200):
        failed = np.random.default_rng(seed).random(3000) < 0.01
        sums = np.cumsum(failed)[29::30]  # looked at after every thirty scorings
        looks = ((n + 1) * 30 for n in range(len(sums)))
        stopped += any(
            harm(ROLLOUT, policy, pair(int(of), failed=int(bad))) is not None
            for bad, of in zip(sums, looks, strict=True)
        )
    assert stopped / 200 <= 0.05


@pytest.mark.parametrize("wrong", [{"slow_ms": 0}, {"max_errors": 2}, {"fdr": 1.5}])
def test_budgets_are_checked_where_they_are_declared(wrong):
    with pytest.raises(BadInputError):
        declaring.Rollout(**wrong)


def test_one_slower_than_the_other_on_the_same_rows_goes_home_without_a_limit_of_its_own():
    found = harm(ROLLOUT, RolloutPolicy(), pair(60, timed=60, slow=60))
    assert found is not None
    assert "60 of 60 scorings took over 3 times as long as the other" in found.reason
    assert harm(ROLLOUT, RolloutPolicy(slowdown=None), pair(60, timed=60, slow=60)) is None
    assert harm(ROLLOUT, RolloutPolicy(), pair(1000, timed=1000, slow=100)) is None


def test_one_that_stands_still_where_the_other_moves_goes_home():
    found = harm(ROLLOUT, RolloutPolicy(), pair(200, moved=200, stuck=200))
    assert found is not None
    assert found.evidence["guardrail"] == "stuck"
    assert harm(ROLLOUT, RolloutPolicy(), pair(200, moved=200, stuck=180)) is None


def test_scores_further_apart_than_the_gate_allows_are_certain_before_they_end_it():
    far = pair(400, rows=400, shifts={12: 400})
    found = harm(ROLLOUT, RolloutPolicy(), far, limit=0.35)
    assert found is not None
    assert "its scores are 0.600 from the other's on 400 rows, on average" in found.reason
    assert harm(ROLLOUT, RolloutPolicy(), far, limit=None) is None
    few = pair(4, rows=4, shifts={12: 4})
    assert harm(ROLLOUT, RolloutPolicy(), few, limit=0.35) is None


def test_a_watch_holds_the_champion_to_its_scorings_and_not_to_how_it_differs():
    watch = msgspec.structs.replace(ROLLOUT, purpose="watch")
    found = harm(watch, RolloutPolicy(), pair(60, failed=60), limit=0.1)
    assert found is not None
    assert found.reason.startswith("Version 1 does harm")
    assert harm(watch, RolloutPolicy(), pair(400, rows=400, shifts={19: 400}), limit=0.1) is None


def test_scores_that_are_not_finite_are_named_among_the_failures():
    found = harm(ROLLOUT, RolloutPolicy(), pair(40, failed=40, odd=40))
    assert found is not None
    assert "40 of them by scores that are not finite" in found.reason
    assert harm(ROLLOUT, RolloutPolicy(guard=False), pair(40, failed=40, odd=40)) is None


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_the_gate_found_of_both_says_how_far_apart_they_may_be(mine, theirs):
    limit = shift_limit(RolloutPolicy(), (mine, theirs))
    whole = mine**0.5 + theirs**0.5 + 0.05
    assert limit is None or limit == pytest.approx(whole, abs=1e-6)
    assert (limit is None) == (round(whole, 6) > 0.95)
    assert shift_limit(RolloutPolicy(max_shift=0.2), (mine, theirs)) == 0.2
