"""Estimates without labels: hand cases, nannyml's figures, and what holds whatever the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score, roc_auc_score

from mainspring.numerics import estimates as est
from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError

CHANCES = npst.arrays(np.float64, st.integers(2, 60), elements=st.floats(0, 1, width=16))


def world(count: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores that are too sure of themselves, and the truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, count)
    truth = (rng.random(count) < 1 / (1 + np.exp(-(x - 0.5)))).astype(int)
    return 1 / (1 + np.exp(-(1.8 * x - 0.5))), truth


def test_it_agrees_with_nannyml():
    known, truth = world(10_000, 1)
    now, _ = world(5_000, 2, shift=0.7)
    found = est.cbpe(est.calibrate(known, truth).at(now), now)
    # nannyml 0.13.1, CBPE on the same rows (10,000 reference, one chunk of 5,000).
    assert found.auc == pytest.approx(0.738102, abs=0.002)
    assert found.accuracy.estimate == pytest.approx(0.671919, abs=0.002)
    assert found.f1 == pytest.approx(0.728558, abs=0.002)
    assert found.precision == pytest.approx(0.667713, abs=0.002)
    assert found.recall == pytest.approx(0.801604, abs=0.002)


def test_it_is_right_where_the_relation_has_not_changed_and_too_good_where_it_has():
    known, truth = world(10_000, 1)
    line = est.calibrate(known, truth)
    now, came = world(20_000, 3, shift=0.7)
    found = est.cbpe(line.at(now), now)
    assert found.auc == pytest.approx(roc_auc_score(came, now), abs=0.015)
    assert found.accuracy.estimate == pytest.approx(((now >= 0.5) == came).mean(), abs=0.015)
    other = np.random.default_rng(4).permutation(came)  # inputs say nothing any more
    assert found.auc > roc_auc_score(other, now) + 0.2


@given(npst.arrays(np.float64, 30, elements=st.floats(0, 1, width=16)))
def test_of_certain_rows_it_expects_what_the_metrics_say(scores):
    truth = (np.arange(30) % 3 == 0).astype(float)
    found = est.cbpe(truth, scores)
    said = scores >= 0.5
    assert found.accuracy.estimate == pytest.approx((said == truth).mean())
    assert found.brier.estimate == pytest.approx(((scores - truth) ** 2).mean())
    assert found.auc == pytest.approx(roc_auc_score(truth, scores))
    assert found.recall == pytest.approx(recall_score(truth, said))
    assert found.f1 == pytest.approx(f1_score(truth, said))
    inside = np.clip(scores, 1e-15, 1 - 1e-15)
    assert found.log_loss.estimate == pytest.approx(log_loss(truth, inside))
    if said.any():
        assert found.precision == pytest.approx(precision_score(truth, said))
    else:
        assert found.precision is None
    assert found.accuracy.low == pytest.approx(found.accuracy.high)  # nothing is left to chance


@given(CHANCES, st.randoms())
def test_the_order_of_rows_does_not_matter(chances, random):
    order = list(range(chances.size))
    random.shuffle(order)
    first, second = est.cbpe(chances), est.cbpe(chances[order])
    assert first.accuracy.estimate == pytest.approx(second.accuracy.estimate)
    assert (first.auc is None) == (second.auc is None)
    assert first.auc is None or first.auc == pytest.approx(second.auc)


def test_the_interval_holds_the_realised_value_as_often_as_it_says():
    held = 0
    rng = np.random.default_rng(0)
    for _ in range(300):
        p = rng.beta(2, 3, 400)
        band = est.cbpe(p).accuracy
        held += band.low <= ((p >= 0.5) == (rng.random(400) < p)).mean() <= band.high
    assert 0.91 <= held / 300 <= 0.99


def test_an_area_is_not_defined_where_nothing_can_be_negative():
    assert est.cbpe([1.0, 1.0]).auc is None
    assert est.cbpe([0.0, 0.0]).recall is None


def test_a_calibration_never_promises_an_answer_without_an_error():
    line = est.calibrate([0.1, 0.9], [0, 1])
    assert line.at([0.0, 1.0]).tolist() == pytest.approx([1 / 6, 5 / 6])


def test_accuracy_from_confidence_by_hand():
    known, right = [0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1]
    assert est.atc(known, right, [0.55, 0.61, 0.95]) == pytest.approx(2 / 3)
    assert est.atc(known, [1, 1, 1, 1], [0.1]) == 1.0
    assert est.atc(known, [0, 0, 0, 0], [0.9]) == 0.0
    assert est.doc(known, right, [0.65]) == pytest.approx(0.75 + 0.65 - 0.75)
    assert est.doc(known, right, [1.0] * 3) == 1.0


@given(CHANCES, st.integers(0, 2**32 - 1))
def test_the_same_rows_are_expected_to_be_as_right_as_they_were(known, seed):
    known = known + np.arange(known.size) * 1e-3  # no two alike
    right = np.random.default_rng(seed).integers(0, 2, known.size)
    assert est.atc(known, right, known) == pytest.approx(right.mean())
    assert est.doc(known, right, known) == pytest.approx(right.mean())


def test_past_errors_are_the_band_of_the_next():
    held = 0
    rng = np.random.default_rng(1)
    for _ in range(400):
        errors = rng.normal(-0.02, 0.01, 6)
        band = est.next_error(errors[:5])
        held += band.low <= errors[5] <= band.high
    assert 0.92 <= held / 400 <= 0.98
    with pytest.raises(TooFewError):
        est.next_error([0.1, 0.1])
    with pytest.raises(OutOfRangeError):
        est.next_error([0.1, 0.1, np.nan])


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(TooFewError):
        est.cbpe([])
    with pytest.raises(OutOfRangeError):
        est.cbpe([1.1])
    with pytest.raises(OutOfRangeError):
        est.cbpe([0.5], [np.nan])
    with pytest.raises(ShapesDifferError):
        est.cbpe([0.5], [0.5, 0.5])
    with pytest.raises(ShapesDifferError):
        est.atc([0.5], [1, 1], [0.5])
    with pytest.raises(TooFewError):
        est.doc([0.5], [1], [])
    with pytest.raises(OutOfRangeError):
        est.atc([np.nan], [1], [0.5])
