"""Betting: batches do not matter, false alarms are as rare as promised, power is there."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.numerics.sequential import (
    BETS,
    SHIFTS,
    EDetector,
    Wealth,
    crossed,
    follow_rise,
    lower_bound,
    peak_value,
    update,
    value,
)

DIFFERENCES = npst.arrays(np.float64, st.integers(0, 120), elements=st.floats(-1, 1, width=16))
LOSSES = npst.arrays(np.float64, st.integers(0, 120), elements=st.floats(0, 1, width=16))
MARGINS = st.floats(-0.9, 0.9)


def slow_wealth(differences, margin=0.0):
    """The recommended rule, written as a plain loop over plain products."""
    wealth, peak = [1.0] * len(BETS), 1.0
    for d in differences:
        gain = (d - margin) / (1 + max(margin, 0))
        wealth = [w * (1 + bet * gain) for w, bet in zip(wealth, BETS, strict=True)]
        peak = max(peak, sum(wealth) / len(wealth))
    return sum(wealth) / len(wealth), peak


@given(DIFFERENCES, MARGINS)
def test_wealth_agrees_with_the_plain_loop(differences, margin):
    now, peak = slow_wealth(differences, margin)
    grown = update(Wealth(), differences, margin)
    assert value(grown) == pytest.approx(now, rel=1e-9)
    assert peak_value(grown) == pytest.approx(peak, rel=1e-9)
    assert grown.seen == differences.size


@given(DIFFERENCES, st.lists(st.integers(0, 120), max_size=6), MARGINS)
def test_how_rows_are_cut_into_batches_does_not_matter(differences, cuts, margin):
    whole = update(Wealth(), differences, margin)
    parts = Wealth()
    for part in np.split(differences, sorted(cuts)):
        parts = Wealth.from_list(json.loads(json.dumps(update(parts, part, margin).to_list())))
    assert parts.seen == whole.seen
    assert parts.logs == pytest.approx(whole.logs, abs=1e-12)
    assert parts.peak == pytest.approx(whole.peak, abs=1e-12)


def test_batches_larger_than_a_chunk_carry_on():
    rows = np.random.default_rng(0).choice([-0.1, 0.1], size=150_000)
    whole = update(Wealth(), rows)
    halves = update(update(Wealth(), rows[:70_000]), rows[70_000:])
    assert whole.peak == pytest.approx(halves.peak, abs=1e-8)
    assert whole.logs == pytest.approx(halves.logs, abs=1e-8)


@given(st.floats(-1, 1), MARGINS)
def test_one_fair_bet_does_not_grow_wealth_on_average(low, margin):
    # A difference with mean exactly at the margin: the wealth after it is 1 on average.
    high = 1.0
    low = min(low, margin)
    share = (margin - low) / (high - low)
    after = [value(update(Wealth(), [d], margin)) for d in (low, high)]
    assert (1 - share) * after[0] + share * after[1] == pytest.approx(1)


@given(DIFFERENCES, MARGINS, MARGINS)
def test_a_larger_margin_is_harder_to_refute(differences, one, other):
    low, high = sorted((one, other))
    assert (
        update(Wealth(), differences, high).peak <= update(Wealth(), differences, low).peak + 1e-9
    )


def test_wealth_by_hand():
    assert value(Wealth()) == 1
    assert not crossed(Wealth(), 0.99)
    assert value(update(Wealth(), [1.0])) == pytest.approx(1 + sum(BETS) / len(BETS))


def test_once_crossed_it_stays_decided():
    high = update(Wealth(), [1.0] * 20)
    fallen = update(high, [-1.0] * 200)
    assert value(fallen) < 1
    assert crossed(fallen, 0.05)
    assert peak_value(fallen) == pytest.approx(peak_value(high))


def test_wealth_beyond_the_largest_float_still_compares():
    rich = update(Wealth(), [1.0] * 5_000)
    assert value(rich) == math.inf
    assert crossed(rich, 1e-300)


def rollouts(rng, count, rows, draw):
    return [update(Wealth(), draw(rng, rows)) for _ in range(count)]


def equal(rng, rows):
    return (rng.random(rows) < 0.1).astype(float) - (rng.random(rows) < 0.1)


def worse(rng, rows):
    return (rng.random(rows) < 0.1).astype(float) - (rng.random(rows) < 0.105)


def skewed(rng, rows):
    # Mean 0: 99.5 % tiny wins and 0.5 % large losses.
    return np.where(rng.random(rows) < 0.005, -0.995, 0.005)


def three_points_better(rng, rows):
    return (rng.random(rows) < 0.1).astype(float) - (rng.random(rows) < 0.07)


@pytest.mark.parametrize("draw", [equal, worse, skewed])
def test_looked_at_after_every_label_a_challenger_that_is_not_better_is_hardly_promoted(draw):
    grown = rollouts(np.random.default_rng(1), 300, 5_000, draw)
    # Promised: at most 5 %; near 1 % was measured, as the mixture is not tuned to one null.
    assert np.mean([crossed(w, 0.05) for w in grown]) < 0.05


def test_a_challenger_three_points_better_is_found():
    grown = rollouts(np.random.default_rng(2), 100, 4_000, three_points_better)
    assert np.mean([crossed(w, 0.05) for w in grown]) > 0.95


def test_the_mirror_process_finds_harm_beyond_the_margin_and_spares_an_equal_challenger():
    rng = np.random.default_rng(3)
    harmed = [update(Wealth(), -three_points_better(rng, 3_000), -0.01) for _ in range(20)]
    assert not any(crossed(w, 0.01) for w in harmed)
    worse_by_5 = [(rng.random(6_000) < 0.15).astype(float) - (rng.random(6_000) < 0.1)] * 3
    assert all(crossed(update(Wealth(), d, 0.01), 0.01) for d in worse_by_5)


def test_the_lower_bound_covers_the_mean_and_closes_in_on_it():
    rng = np.random.default_rng(4)
    bounds = [lower_bound(three_points_better(rng, 3_000)) for _ in range(40)]
    assert np.mean(np.array(bounds) <= 0.03) >= 0.95
    assert np.median(bounds) > 0
    assert lower_bound([]) == -1


@given(DIFFERENCES)
def test_a_positive_lower_bound_is_a_crossing(differences):
    assert crossed(update(Wealth(), differences), 0.05) == (lower_bound(differences) >= -1e-9)


@pytest.mark.parametrize("rows", [[1.01], [-1.01], [math.nan], [0.0, math.inf]])
def test_differences_outside_their_range_are_refused(rows):
    with pytest.raises(OutOfRangeError):
        update(Wealth(), rows)


def test_margins_chances_and_states_that_make_no_sense_are_refused():
    for margin in (1.0, -1.0, math.nan):
        with pytest.raises(OutOfRangeError):
            update(Wealth(), [0.0], margin)
    with pytest.raises(OutOfRangeError):
        crossed(Wealth(), 0.0)
    with pytest.raises(ShapesDifferError):
        Wealth.from_list([0.0, 0.0])
    with pytest.raises(ShapesDifferError):
        EDetector.from_list([0.1, 100.0])
    for base, run_length in ((0.0, 100), (1.0, 100), (math.nan, 100), (0.1, 1)):
        with pytest.raises(OutOfRangeError):
            EDetector(base, run_length)
    for losses in ([1.01], [-0.01], [math.nan]):
        with pytest.raises(OutOfRangeError):
            EDetector(0.1).update(losses)


def slow_detector(losses, base, run_length):
    """The recommended rule as a plain loop: all alarms."""
    bets = [min(rise, (1 - base) / 2) / (base * (1 - base)) for rise in SHIFTS]
    m, alarms = [0.0] * len(bets), []
    for i, x in enumerate(losses):
        m = [(v + 1) * (1 + bet * (x - base)) for v, bet in zip(m, bets, strict=True)]
        if sum(m) / len(m) >= run_length:
            m = [0.0] * len(bets)
            alarms.append(i)
    return alarms, m


@given(LOSSES, st.floats(0.02, 0.98), st.lists(st.integers(0, 120), max_size=5))
def test_the_detector_agrees_with_the_plain_loop_in_any_batches(losses, base, cuts):
    alarms, m = slow_detector(losses, base, 200.0)
    detector, firsts, offset = EDetector(base, 200.0), [], 0
    for part in np.split(losses, sorted(cuts)):
        detector = EDetector.from_list(json.loads(json.dumps(detector.to_list())))
        detector, first = detector.update(part)
        if first is not None:
            firsts.append(offset + first)
        offset += part.size
    assert detector.alarms == len(alarms)
    assert set(firsts) <= set(alarms)
    assert firsts[:1] == alarms[:1]
    assert detector.logs == pytest.approx(np.log1p(m), abs=1e-9)
    assert detector.seen == losses.size


def test_false_alarms_are_no_closer_than_the_run_length():
    rng = np.random.default_rng(5)
    detector, _ = EDetector(0.1, run_length=2_000).update(rng.random(400_000) < 0.1)
    assert 5 < detector.alarms < 1.2 * 400_000 / 2_000


def test_a_rise_of_five_points_is_found_as_soon_as_measured_and_a_fall_is_not():
    rng = np.random.default_rng(6)
    delays, falls = [], 0
    for _ in range(40):
        calm, _ = EDetector(0.1).update(rng.random(3_000) < 0.1)
        _, at = calm.update(rng.random(5_000) < 0.15)
        delays.append(5_000 if at is None else at)
        falls += calm.update(rng.random(5_000) < 0.05)[1] is not None
    # 328 labels were measured for this setting, with bets of another choice.
    assert np.median(delays) < 500
    assert max(delays) < 5_000
    assert falls == 0


def test_it_finds_a_rise_sooner_than_the_detectors_of_others():
    delays, false = [], 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chance = np.r_[np.full(10_000, 0.10), np.full(10_000, 0.15)]
        losses = (rng.random(20_000) < chance).astype(float)
        before, _ = EDetector(base=0.11).update(losses[:10_000])
        false += before.alarms
        delays.append(before.update(losses[10_000:])[1])
    # river 0.26.1 with its defaults, on these streams: median delay, found in 20, false alarms:
    # ADWIN 991 (20, 0), PageHinkley 844.5 (20, 1), DDM 1,710 (17, 28), HDDM_A 1,767 (20, 0).
    assert None not in delays
    assert np.median(delays) < 844.5 / 1.5
    assert false <= 1


def test_a_rise_is_dated_about_where_it_began():
    dated = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chance = np.r_[np.full(3_000, 0.1), np.full(3_000, 0.2)]
        losses = (rng.random(6_000) < chance).astype(float)
        _, first = EDetector(base=0.11, run_length=1e6).update(losses)
        scores, begun = follow_rise([0.0] * 5, losses[: first + 1], 0.11)
        dated.append(begun[int(np.argmax(scores))])
    assert np.median(dated) == pytest.approx(3_000, abs=60)
    assert np.quantile(np.abs(np.array(dated) - 3_000), 0.9) < 250


@given(st.lists(st.sampled_from([0.0, 0.2, 1.0]), max_size=60), st.integers(0, 60))
def test_where_a_rise_began_does_not_depend_on_how_labels_are_cut(losses, place):
    place = min(place, len(losses))
    whole, begun = follow_rise([0.0] * 5, losses, 0.3)
    first, early = follow_rise([0.0] * 5, losses[:place], 0.3)
    second, late = follow_rise(first, losses[place:], 0.3)
    assert second == pytest.approx(whole)
    for at, before, after in zip(begun, early, late, strict=True):
        if losses:
            assert at == (before if after == -1 else after + place)


def test_scores_belong_to_the_bets():
    with pytest.raises(ShapesDifferError):
        follow_rise([0.0], [0.1], 0.2)
    with pytest.raises(OutOfRangeError):
        follow_rise([0.0] * 5, [1.1], 0.2)
    assert follow_rise([1.0] * 5, [], 0.2) == ([1.0] * 5, [-1] * 5)


def test_a_label_that_counts_for_less_needs_more_of_its_kind():
    losses = [0.0] * 100 + [1.0] * 200
    whole = EDetector(base=0.1).update(losses)[1]
    half = EDetector(base=0.1).update(losses, weight=0.5)[1]
    assert 1.7 < (half - 99) / (whole - 99) < 2.3
    for weight in (0.0, 1.1, math.nan):
        with pytest.raises(OutOfRangeError):
            EDetector(base=0.1).update(losses, weight)
        with pytest.raises(OutOfRangeError):
            follow_rise([0.0] * 5, losses, 0.1, weight)


def test_its_run_length_holds_with_any_weight():
    rng = np.random.default_rng(5)
    for weight in (1.0, 0.2):
        alarms = sum(
            EDetector(base=0.3, run_length=2_000)
            .update(rng.random(20_000) < 0.3, weight)[0]
            .alarms
            for _ in range(10)
        )
        assert alarms <= 200_000 / 2_000
