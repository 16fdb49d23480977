"""Arms of an A/B rollout, compared as labels come: what is shown, how often wrongly, how soon."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import Arm, Rollout, RolloutPolicy, Strategy
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.retraining import comparing

POLICY = RolloutPolicy(strategy=Strategy.AB)


def rollout(*weights: float, **more) -> Rollout:
    arms = [Arm(version=number, weight=weight) for number, weight in enumerate(weights, 1)]
    given = {"id": "r", "endpoint": "e", "model": "m", "champion": 1, "challenger": 2}
    given |= {"strategy": Strategy.AB, "share": 0.5, "state": "running", "started": 0.0}
    return Rollout(**{**given, "arms": arms, **more})


def after(begun: Rollout, versions, losses, policy: RolloutPolicy = POLICY) -> Rollout:
    import msgspec

    return msgspec.structs.replace(begun, tests=comparing.advance(begun, versions, losses, policy))


def drawn(random: np.random.Generator, rows: int, weights: tuple[float, ...]) -> np.ndarray:
    shares = np.array(weights) / sum(weights)
    return random.choice(np.arange(1, len(weights) + 1), size=rows, p=shares)


def test_one_row_of_each_of_two_is_worth_what_a_hand_computes():
    now = after(rollout(1.0, 1.0), [1, 2], [0.0, 1.0])
    # The middle before the first row is 1/2, before the second (1/4 + 0) / (1/2 + 1) = 1/6. So
    # x is -(0 - 1/2) / (1/2) = 1, then (1 - 1/6) / (1/2) = 5/3; times the smaller share, 1/2,
    # that is 1/2 and 5/6.
    bets = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5])
    wealth = float(((1 + bets * 0.5) * (1 + bets * 5 / 6)).mean())
    found = {(one.better, one.worse): one for one in comparing.standings(now, POLICY)}
    assert found[1, 2].wealth == pytest.approx(wealth)
    assert found[2, 1].wealth == 1.0  # its highest so far: it only lost
    assert found[1, 2].needed == pytest.approx(2 / 0.05)
    assert comparing.means(now) == {1: (1, 0.0), 2: (1, 1.0)}


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 1)), max_size=40), st.integers(0, 40))
@settings(max_examples=40)
def test_how_rows_are_cut_into_batches_does_not_matter(rows, cut):
    versions = np.array([version for version, _ in rows], dtype=int)
    losses = np.array([loss for _, loss in rows])
    begun = rollout(5.0, 3.0, 2.0)
    once = after(begun, versions, losses)
    twice = after(after(begun, versions[:cut], losses[:cut]), versions[cut:], losses[cut:])
    for key, numbers in once.tests.items():
        assert twice.tests[key] == pytest.approx(numbers, abs=1e-9)


def test_of_three_equal_arms_nothing_is_said_more_often_than_promised():
    """An A/A/A rollout, looked at after every one of 4,000 labels; losses rare and large."""
    policy = RolloutPolicy(alpha=0.1, harm_alpha=0.1)
    said, harmed, runs, weights = 0, 0, 300, (5.0, 3.0, 2.0)
    for seed in range(runs):
        random = np.random.default_rng(seed)
        versions = drawn(random, 4_000, weights)
        losses = (random.random(4_000) < 0.05).astype(float)
        now = after(rollout(*weights), versions, losses, policy)
        said += any(one.shown for one in comparing.standings(now, policy))
        harmed += comparing.harmful(now, policy) is not None
    assert said / runs <= 0.1
    assert harmed / runs <= 0.1


def test_the_best_of_three_is_found_and_the_worst_is_known_to_do_harm():
    random = np.random.default_rng(1)
    versions = drawn(random, 6_000, (1.0, 1.0, 1.0))
    rates = np.array([0.25, 0.15, 0.4])
    losses = (random.random(6_000) < rates[versions - 1]).astype(float)
    now = after(rollout(1.0, 1.0, 1.0), versions, losses)
    assert comparing.winner(now, POLICY) == 2
    harm = comparing.harmful(now, POLICY)
    assert harm is not None
    assert harm.evidence["version"] == 3
    assert harm.reason.startswith("Version 3 is worse than champion 1: mean loss version 1 0.2")


def test_unequal_weights_are_weighed_back():
    """The small arm's rows count for more: equal arms at 9 to 1 stay equal."""
    random = np.random.default_rng(3)
    versions = drawn(random, 20_000, (9.0, 1.0))
    losses = np.clip(random.normal(0.4, 0.1, 20_000), 0, 1)
    now = after(rollout(9.0, 1.0), versions, losses)
    assert all(not one.shown for one in comparing.standings(now, POLICY))
    better = losses - 0.1 * (versions == 2)
    now = after(rollout(9.0, 1.0), versions, np.clip(better, 0, 1))
    assert comparing.winner(now, POLICY) == 2


def test_an_arm_that_was_sent_home_is_compared_no_more():
    begun = rollout(1.0, 0.0, 1.0)
    now = after(begun, [1, 3, 1, 3], [0.0, 1.0, 0.0, 1.0])
    assert "1>2" not in now.tests
    assert "1>3" in now.tests


def test_what_is_no_loss_is_refused():
    with pytest.raises(ShapesDifferError):
        comparing.advance(rollout(1.0, 1.0), [1, 2], [0.5], POLICY)
    with pytest.raises(OutOfRangeError):
        comparing.advance(rollout(1.0, 1.0), [1, 2], [0.5, float("nan")], POLICY)
