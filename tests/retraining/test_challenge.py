"""The rollout's tests keep their promises: equal versions, better ones, broken ones, watches."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import DAY_S, Rollout, RolloutPolicy, Strategy
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.numerics.sequential import lower_bound
from mainspring.retraining.challenge import advance, evidence_of, standing, verdict


def _rollout(**given):
    base = {"id": "r1", "endpoint": "e", "model": "m", "champion": 1, "challenger": 2}
    return Rollout(
        **{
            **base,
            "strategy": Strategy.CANARY,
            "share": 0.2,
            "state": "running",
            "started": 0.0,
            **given,
        }
    )


def _errors(seed, rows, rate):
    return (np.random.default_rng(seed).random(rows) < rate).astype(float)


def _replay(champion, challenger, policy, step=50, day=None, **given):
    """Return the rollout and the first verdict, looking after every ``step`` labels."""
    rollout, day = _rollout(**given), day or 1
    for start in range(0, len(champion), step):
        part = slice(start, start + step)
        rollout = advance(rollout, champion[part], challenger[part], policy)
        found = verdict(rollout, policy, rollout.started + day)
        if found is not None:
            return rollout, found
    return rollout, None


def test_twenty_clear_wins_are_worth_what_the_hand_computes():
    rollout = advance(_rollout(), np.ones(20), np.zeros(20), RolloutPolicy())
    now = standing(rollout, RolloutPolicy())
    bets = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5)
    assert now.better == pytest.approx(sum((1 + b) ** 20 for b in bets) / 8)
    assert now.worse == pytest.approx(sum((1 - b) ** 20 for b in bets) / 8)
    assert (now.rows, rollout.rows) == (20, 20)
    assert now.difference == pytest.approx(1.0, rel=1e-4)


def test_a_clear_win_is_told_with_its_figures():
    rollout = advance(_rollout(), np.full(60, 0.9), np.full(60, 0.1), RolloutPolicy())
    found = verdict(rollout, RolloutPolicy(), DAY_S)
    assert found.verdict == "better"
    assert found.reason.startswith(
        "Version 2 is better than champion 1: mean loss 0.8000 lower for 2 on 60 labelled rows"
    )
    assert "20 was needed (alpha 0.05)" in found.reason
    assert found.evidence["rows"] == 60
    assert found.evidence["difference"] == pytest.approx(0.8, rel=1e-4)


def test_nothing_is_decided_without_rows_until_the_time_is_over():
    policy = RolloutPolicy(max_period_s=10.0)
    assert verdict(_rollout(), policy, 9.9) is None
    found = verdict(_rollout(), policy, 10.0)
    assert found.verdict == "undecided"
    assert "no labelled row was scored by both" in found.reason


def test_a_promotion_waits_for_the_least_period_and_stays_won():
    policy = RolloutPolicy(min_period_s=7 * DAY_S)
    rollout = advance(_rollout(), np.ones(30), np.zeros(30), policy)
    assert verdict(rollout, policy, 6.9 * DAY_S) is None
    later = advance(rollout, np.full(20, 0.5), np.full(20, 0.6), policy)
    assert verdict(later, policy, 7 * DAY_S).verdict == "better"


def test_harm_waits_for_nothing():
    policy = RolloutPolicy(min_period_s=7 * DAY_S)
    rollout = advance(_rollout(), np.zeros(60), np.ones(60), policy)
    found = verdict(rollout, policy, 1.0)
    assert found.verdict == "worse"
    assert "mean loss 1.0000 higher for 2" in found.reason


def test_a_margin_asks_for_more_than_being_better():
    champion, challenger = np.full(3000, 0.30), np.full(3000, 0.28)
    for margin, outcome in ((0.0, "better"), (0.05, None)):
        policy = RolloutPolicy(margin=margin)
        found = verdict(advance(_rollout(), champion, challenger, policy), policy, 1.0)
        assert (found.verdict if found else None) == outcome


def test_a_watch_says_that_the_new_champion_broke_and_has_no_other_end_than_time():
    policy = RolloutPolicy(watch_s=100.0, min_period_s=50.0, max_period_s=60.0)
    watch = _rollout(champion=2, challenger=1, purpose="watch")
    broke = advance(watch, np.full(60, 0.9), np.full(60, 0.1), policy)
    found = verdict(broke, policy, 1.0)
    assert found.verdict == "better"
    assert found.reason.startswith("Champion 2 does worse than version 1 before it")
    held = advance(watch, np.full(60, 0.1), np.full(60, 0.9), policy)
    assert verdict(held, policy, 99.0) is None
    over = verdict(held, policy, 100.0)
    assert over.verdict == "undecided"
    assert over.reason.startswith("Champion 2 held against version 1")


def test_a_watch_is_as_careful_as_the_harm_test():
    policy = RolloutPolicy(alpha=0.5, harm_alpha=0.01)
    rows = np.full(8, 1.0)
    watch = advance(_rollout(purpose="watch"), rows, 0 * rows, policy)
    challenge = advance(_rollout(), rows, 0 * rows, policy)
    assert verdict(challenge, policy, 1.0).verdict == "better"
    assert verdict(watch, policy, 1.0) is None


def test_equal_versions_are_promoted_no_more_often_than_alpha():
    promoted = harmed = 0
    for seed in range(400):
        champion, challenger = _errors(seed, 3000, 0.1), _errors(seed + 10_000, 3000, 0.1)
        _, found = _replay(champion, challenger, RolloutPolicy())
        promoted += found is not None and found.verdict == "better"
        harmed += found is not None and found.verdict == "worse"
    assert promoted / 400 <= 0.05
    assert harmed / 400 <= 0.01


def test_the_same_version_under_two_numbers_is_never_promoted():
    for seed in range(20):
        losses = _errors(seed, 2000, 0.2)
        assert _replay(losses, losses, RolloutPolicy())[1] is None


def test_three_points_better_is_found_within_some_thousand_labels():
    used = []
    for seed in range(40):
        champion, challenger = _errors(seed, 10_000, 0.10), _errors(seed + 500, 10_000, 0.05)
        rollout, found = _replay(champion, challenger, RolloutPolicy())
        assert found is not None
        assert found.verdict == "better"
        used.append(rollout.rows)
    assert np.median(used) < 1500


def test_a_sabotaged_version_is_withdrawn_within_some_hundred_labels():
    rng = np.random.default_rng(3)
    truth = (rng.random(5000) < 0.3).astype(float)
    honest = np.clip(0.3 + 0.4 * (truth - 0.3) + rng.normal(0, 0.1, 5000), 0, 1)
    shuffled = rng.permutation(honest)
    rollout, found = _replay((honest - truth) ** 2, (shuffled - truth) ** 2, RolloutPolicy())
    assert found.verdict == "worse"
    assert rollout.rows <= 500


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(1, 59),
    st.sampled_from([0.0, 0.01, -0.02]),
)
def test_how_labels_are_cut_into_batches_does_not_matter(pairs, cut, margin):
    policy = RolloutPolicy(margin=margin)
    champion, challenger = np.array(pairs).T
    whole = advance(_rollout(), champion, challenger, policy)
    parts = _rollout()
    for part in (slice(0, cut), slice(cut, None)):
        parts = advance(parts, champion[part], challenger[part], policy)
    assert parts.rows == whole.rows == len(pairs)
    assert np.allclose(parts.better, whole.better)
    assert np.allclose(parts.worse, whole.worse)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.02, 0.3, -0.1]),
)
def test_the_mean_difference_is_read_back_from_the_wealth_alone(differences, margin):
    d = np.array(differences)
    policy = RolloutPolicy(margin=margin)
    rollout = advance(_rollout(), np.maximum(d, 0), np.maximum(-d, 0), policy)
    assert standing(rollout, policy).difference == pytest.approx(d.mean(), abs=2e-4)


def test_the_bound_shown_is_close_to_the_exact_one():
    for seed, gain in ((1, 0.02), (2, 0.05), (3, 0.0)):
        rng = np.random.default_rng(seed)
        d = np.clip(rng.normal(gain, 0.15, 4000), -1, 1)
        rollout = advance(_rollout(), np.maximum(d, 0), np.maximum(-d, 0), RolloutPolicy())
        shown = standing(rollout, RolloutPolicy()).low
        assert shown == pytest.approx(lower_bound(d, 0.05), abs=0.004)


def test_the_cursor_moves_with_the_labels():
    rollout = advance(_rollout(cursor=3), [0.1], [0.2], RolloutPolicy(), cursor=9)
    assert rollout.cursor == 9
    assert advance(rollout, [], [], RolloutPolicy()).cursor == 9


def test_unpaired_or_unbounded_losses_are_refused():
    with pytest.raises(ShapesDifferError):
        advance(_rollout(), [0.1, 0.2], [0.1], RolloutPolicy())
    with pytest.raises(OutOfRangeError):
        advance(_rollout(), [math.nan], [0.1], RolloutPolicy())
    with pytest.raises(OutOfRangeError):
        advance(_rollout(), [2.5], [0.1], RolloutPolicy())


def test_a_a_tests_promote_at_most_as_often_as_stated_whatever_the_batches():
    # Two versions of the same quality whose answers differ; callers stick to one, labels come in
    # batches of any size, and somebody looks after each.
    policy, promoted = RolloutPolicy(alpha=0.1), 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        quality = rng.beta(2, 5, 400)  # of callers, who come again and again
        caller = rng.integers(0, 400, 2000)
        champion, challenger = (rng.random((2, 2000)) < quality[caller]).astype(float)
        rollout, start, found = _rollout(), 0, None
        while start < 2000 and found is None:
            size = int(rng.integers(1, 200))
            part = slice(start, start + size)
            rollout = advance(rollout, champion[part], challenger[part], policy)
            found, start = verdict(rollout, policy, 1.0), start + size
        promoted += found is not None and found.verdict == "better"
    assert promoted / 300 <= 0.1


def test_in_a_fleet_a_challenger_waits_until_it_stands_out():
    policy = RolloutPolicy(fdr=0.05)
    rollout = advance(_rollout(), np.ones(12), np.zeros(12), policy)
    evidence = evidence_of(rollout)
    assert 20 < evidence < 40
    assert verdict(rollout, policy, 1.0).verdict == "better"
    assert verdict(rollout, policy, 1.0, fleet=[1.0]) is None
    beside = verdict(rollout, policy, 1.0, fleet=[evidence])
    assert beside.verdict == "better"
    assert beside.reason.endswith(
        "It holds among 2 rollouts of the fleet: of such promotions at most 5% are wrong."
    )
    assert (beside.evidence["fleet"], beside.evidence["fdr"]) == (2, 0.05)
    assert verdict(rollout, RolloutPolicy(), 1.0, fleet=[1.0] * 9).verdict == "better"
    over = verdict(rollout, policy, policy.max_period_s, fleet=[1.0])
    assert over.verdict == "undecided"
