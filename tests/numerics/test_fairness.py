"""Bias metrics: hand cases, smclarify and fairlearn as oracles, coverage, and the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.numerics import fairness as f
from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)
from mainspring.numerics.fairness import Confusion
from mainspring.numerics.flips import flip_test

# smclarify 0.5 (pandas 3.1.1, scikit-learn 1.9.1) on the rows of `world`.
SMCLARIFY = {
    (7, 60): {
        "CI": 0.4, "DPL": 0.428571428571, "KL": 0.465425040451, "JS": 0.10180019735,
        "LP": 0.606091526731, "TVD": 0.428571428571, "KS": 0.428571428571,
        "CDDL": 0.363005050505, "DPPL": 0.246031746032, "DI": 0.530303030303,
        "DCA": 0.536363636364, "DCR": 0.303846153846, "RD": 0.053333333333,
        "SD": 0.035294117647, "DAR": 0.418181818182, "DRR": 0.273076923077,
        "AD": -0.039682539683, "TE": -1.416666666667, "CDDPL": 0.211346986347,
        "FT": -0.166666666667, "GE": 0.129129560471,
    },
    (8, 500): {
        "CI": 0.428, "DPL": 0.244148008854, "KL": 0.125823706292, "JS": 0.030514253655,
        "LP": 0.345277425348, "TVD": 0.244148008854, "KS": 0.244148008854,
        "CDDL": 0.199985471977, "DPPL": 0.1881647764, "DI": 0.650131118881,
        "DCA": 0.132083333333, "DCR": 0.103616813294, "RD": 0.123116659492,
        "SD": 0.00412371134, "DAR": 0.218541666667, "DRR": 0.087194525904,
        "AD": 0.036081565493, "TE": -0.533106960951, "CDDPL": 0.155982387341,
        "FT": -0.153846153846, "GE": 0.108516776213,
    },
}  # fmt: skip
# fairlearn 0.15.0: demographic_parity_difference and _ratio, equal_opportunity_difference.
FAIRLEARN = {
    (7, 60): (0.24603174603174605, 0.5303030303030303, 0.053333333333333344),
    (8, 500): (0.1881647764000705, 0.6501311188811189, 0.1231166594920362),
}


def world(seed, n):
    """Return whether a row is of d, its group, label, prediction and two inputs."""
    rng = np.random.default_rng(seed)
    d = rng.random(n) < 0.3
    group = rng.integers(0, 3, n)
    label = rng.random(n) < np.where(d, 0.3, 0.55)
    said = np.where(rng.random(n) < 0.8, label, ~label) & ~(d & (rng.random(n) < 0.2))
    inputs = np.round(rng.normal(size=(n, 2)) + d[:, None] * 0.5, 3)
    return d, group, label, said, inputs


def confusion(label, said):
    return Confusion(
        tp=int((label & said).sum()),
        fp=int((~label & said).sum()),
        fn=int((label & ~said).sum()),
        tn=int((~label & ~said).sum()),
    )


def by_group(group, d, good):
    return {
        str(g): tuple(
            int(((group == g) & (good == kept) & (d == of_d)).sum())
            for kept, of_d in ((True, False), (True, True), (False, False), (False, True))
        )
        for g in np.unique(group)
    }


def every(seed, n):
    d, group, label, said, inputs = world(seed, n)
    counts = [[int((~label[who]).sum()), int(label[who].sum())] for who in (~d, d)]
    return {
        **f.pre_training(*counts),
        **f.post_training(confusion(label[~d], said[~d]), confusion(label[d], said[d])),
        "CDDL": f.conditional_disparity(by_group(group, d, label)),
        "CDDPL": f.conditional_disparity(by_group(group, d, said)),
        "FT": flip_test(inputs[~d], said[~d], inputs[d], said[d]),
    }


@pytest.mark.parametrize("case", SMCLARIFY)
def test_all_twenty_one_agree_with_smclarify(case):
    found = every(*case)
    assert set(found) == {*f.PRE_TRAINING, *f.POST_TRAINING} == set(f.MEANINGS)
    for name, expected in SMCLARIFY[case].items():
        assert found[name].estimate == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("case", FAIRLEARN)
def test_parity_and_opportunity_agree_with_fairlearn(case):
    found = every(*case)
    told = tuple(found[name].estimate for name in ("DPPL", "DI", "RD"))
    assert told == pytest.approx(FAIRLEARN[case])


def test_by_hand_with_ten_rows_a_facet():
    # a: 4 of 10 good, said good of 5, right of those 3. d: 2 of 10, said 2, right 1.
    a, d = Confusion(tp=3, fp=2, fn=1, tn=4), Confusion(tp=1, fp=1, fn=1, tn=7)
    found = {name: band.estimate for name, band in f.post_training(a, d).items()}
    assert found == pytest.approx(
        {
            "DPPL": 0.3,
            "DI": 0.2 / 0.5,
            "DCA": 4 / 5 - 2 / 2,
            "DCR": 8 / 8 - 6 / 5,
            "RD": 3 / 4 - 1 / 2,
            "SD": 7 / 8 - 4 / 6,
            "DAR": 3 / 5 - 1 / 2,
            "DRR": 7 / 8 - 4 / 5,
            "AD": 7 / 10 - 8 / 10,
            "TE": 1 / 1 - 1 / 2,
            # Benefits: 2 rows of 0, 15 of 1, 3 of 2: mean 21/20, mean square 27/20.
            "GE": 0.5 * ((27 / 20) / (21 / 20) ** 2 - 1),
        }
    )


def test_agresti_and_caffo_by_hand():
    # 3 of 10 and 1 of 20 become 4 of 12 and 2 of 22.
    band = f.label_free(3, 10, 1, 20)["DPPL"]
    first, second = 4 / 12, 2 / 22
    reach = 1.959963985 * math.sqrt(first * (1 - first) / 12 + second * (1 - second) / 22)
    assert band.low == pytest.approx(first - second - reach)
    assert band.high == pytest.approx(first - second + reach)


def test_nothing_by_nothing_is_zero_and_something_by_nothing_infinite():
    nobody = Confusion(tn=10)
    found = f.post_training(nobody, Confusion(tp=2, fn=3, tn=5))
    assert found["DI"].estimate == math.inf
    assert found["DI"].low < math.inf
    assert found["RD"].estimate == 0.0 - 2 / 5
    both = f.post_training(Confusion(fn=4, tn=1), Confusion(fn=2, tn=1))
    assert both["TE"].estimate == 0.0  # infinite on either side is no difference
    assert f.pre_training([0, 5], [3, 2])["KL"].estimate == pytest.approx(math.log(5 / 2))
    assert f.pre_training([3, 2], [0, 5])["KL"].estimate == math.inf


def test_who_is_not_there_cannot_be_compared():
    with pytest.raises(TooFewError, match=r"found 0 \(a\) and 3 \(d\)"):
        f.post_training(Confusion(), Confusion(tp=3))
    with pytest.raises(TooFewError):
        f.pre_training([1, 1], [0, 0])
    with pytest.raises(TooFewError):
        f.label_free(0, 0, 1, 2)
    with pytest.raises(TooFewError):
        flip_test(np.empty((0, 2)), [], [[1.0, 1.0]], [1])
    with pytest.raises(ShapesDifferError):
        f.pre_training([1, 1], [1, 1, 1])
    with pytest.raises(ShapesDifferError):
        flip_test([[1.0]], [1, 0], [[1.0]], [1])
    with pytest.raises(OutOfRangeError):
        f.label_free(3, 2, 1, 2)
    with pytest.raises(OutOfRangeError, match="Nobody benefits"):
        f.generalised_entropy(0, 5, 5)
    with pytest.raises(OneClassError):
        f.conditional_disparity({"x": (3, 4, 0, 0)})
    assert "GE" not in f.post_training(Confusion(fn=2), Confusion(fn=3))


CELLS = st.builds(Confusion, *[st.integers(0, 60)] * 4).filter(lambda one: one.rows > 0)


@given(CELLS, CELLS)
@settings(max_examples=150)
def test_swapping_the_facets_turns_every_difference_round(a, d):
    there, back = f.post_training(a, d), f.post_training(d, a)
    for name in ("DPPL", "DCA", "DCR", "RD", "SD", "DAR", "DRR", "AD", "TE"):
        assert there[name].estimate == pytest.approx(-back[name].estimate), name
        assert there[name].low == pytest.approx(-back[name].high, abs=1e-9), name
    if "GE" in there:
        assert there["GE"].estimate == pytest.approx(back["GE"].estimate)


@given(CELLS, CELLS)
@settings(max_examples=150)
def test_every_interval_holds_its_estimate_and_none_is_a_point(a, d):
    labels = [[one.fp + one.tn, one.tp + one.fn] for one in (a, d)]
    for name, band in {**f.post_training(a, d), **f.pre_training(*labels)}.items():
        assert band.low <= band.estimate <= band.high, name
        if name not in ("GE", "CI", "KL", "JS", "LP", "TVD", "KS"):
            assert band.low < band.high, name


@given(CELLS)
def test_equal_facets_are_treated_alike(one):
    labels = [one.fp + one.tn, one.tp + one.fn]
    found = {**f.post_training(one, one), **f.pre_training(labels, labels)}
    for name in ("DPPL", "DCA", "RD", "AD", "TE", "DPL", "KL", "JS", "LP", "TVD", "KS", "CI"):
        assert found[name].estimate == 0.0, name
        assert found[name].low <= 0.0 <= found[name].high, name
    assert found["DI"].estimate in (0.0, 1.0)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    p_a, p_d = [0.3, 0.1, 0.15, 0.45], [0.2, 0.1, 0.2, 0.5]
    whole = [Confusion(*(round(share * 10**7) for share in p)) for p in (p_a, p_d)]
    truth = {name: band.estimate for name, band in f.post_training(*whole).items()}
    truth |= {
        name: band.estimate
        for name, band in f.pre_training([55, 45], [60, 40]).items()
        if name != "CI"
    }
    missed = dict.fromkeys(truth, 0)
    for _ in range(400):
        a, d = (
            Confusion(*(int(n) for n in rng.multinomial(rows, p)))
            for rows, p in ((400, p_a), (150, p_d))
        )
        labels = [[one.fp + one.tn, one.tp + one.fn] for one in (a, d)]
        for name, band in {**f.post_training(a, d), **f.pre_training(*labels)}.items():
            if name in truth and name != "GE":  # of both facets: another mixture, another truth
                missed[name] += not band.low <= truth[name] <= band.high
    # 95 % intervals miss 20 of 400; 38 is four standard errors above that.
    assert max(missed.values()) <= 38, missed


def test_the_interval_of_the_entropy_covers_it():
    rng = np.random.default_rng(5)
    truth = f.generalised_entropy(80, 120, 1000).estimate
    missed = 0
    for _ in range(400):
        fn, _, fp = rng.multinomial(300, [0.12, 0.8, 0.08])
        band = f.generalised_entropy(int(fp), int(fn), 300)
        missed += not band.low <= truth <= band.high
    assert missed <= 38


def test_chance_alone_does_not_put_a_distance_above_nothing():
    rng = np.random.default_rng(4)
    above = 0
    for _ in range(200):
        a, d = rng.multinomial(60, [0.1] * 10), rng.multinomial(40, [0.1] * 10)
        found = f.pre_training([int(n) for n in a], [int(n) for n in d])
        above += any(found[name].low > 0 for name in ("KL", "JS", "LP", "TVD", "KS"))
    assert above <= 10


def test_disparity_within_groups_is_not_that_between_them():
    # Each group accepts a and d alike; d applies where few are taken (Simpson's paradox).
    groups = {"easy": (80, 8, 20, 2), "hard": (2, 20, 8, 80)}
    within = f.conditional_disparity(groups)
    merged = f.conditional_disparity({"all": (82, 28, 28, 82)})
    assert within.estimate == pytest.approx(0.0)
    assert within.low < 0 < within.high
    assert merged.low > 0.3


def test_the_flip_test_counts_rows_judged_otherwise_than_their_like():
    a = np.arange(20.0).reshape(-1, 1)
    said_a = (a[:, 0] >= 10).astype(int)
    same = flip_test(a, said_a, a, said_a)
    assert same.estimate == 0.0
    none = flip_test(a, said_a, a, np.zeros(20, dtype=int))
    assert none.estimate == pytest.approx(-0.5)
    assert none.low < none.estimate < none.high < 0
