"""A retraining is asked for where a fresh model is surely better, and only there."""

import time

import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Column, RetrainingPolicy, Signature
from mainspring.numerics.scores import row_losses
from mainspring.retraining import quick
from mainspring.retraining.blocks import time_blocks
from mainspring.retraining.regret import compare, measure, volume_ahead

POLICY = RetrainingPolicy()


def _signature(kind="binary", classes=("0", "1"), scale=1.0):
    columns = [
        Column(name="x", type="float"),
        Column(name="plan", type="str"),
        Column(name="noise", type="float"),
    ]
    return Signature(columns=columns, kind=kind, target="y", classes=list(classes), scale=scale)


def _world(rows, seed, sign, kind="binary", start=0.0):
    """A world in which y follows sign * x and the plan; the sign is what may change."""
    rng = np.random.default_rng(seed)
    x, plan = rng.normal(size=rows), rng.integers(0, 3, rows)
    value = sign * x + 0.8 * (plan - 1) + rng.normal(0, 0.5, rows)
    y = {
        "binary": (value > 0).astype(int),
        "multiclass": np.digitize(value, [-0.7, 0.7]),
        "regression": value,
    }[kind]
    return pl.DataFrame(
        {
            "x": x,
            "plan": [["a", "b", "c"][p] for p in plan],
            "noise": rng.normal(size=rows),
            "y": y,
            "_time": start + np.sort(rng.uniform(0, 10 * DAY_S, rows)),
        }
    )


def _losses(old, fresh, signature):
    model = quick.fit(
        old, old["y"].to_numpy(), ["x", "plan", "noise"], signature.kind, len(signature.classes)
    )
    return row_losses(
        signature.kind, model.score(fresh), fresh["y"].to_numpy(), scale=signature.scale
    )


@pytest.mark.parametrize(
    ("kind", "classes", "scale"),
    [("binary", ("0", "1"), 1.0), ("multiclass", ("0", "1", "2"), 1.0), ("regression", (), 3.0)],
)
def test_a_changed_world_pays_and_an_unchanged_one_does_not(kind, classes, scale):
    signature = _signature(kind, classes, scale)
    old = _world(8000, 1, 1.0, kind)
    for sign, pays in ((1.0, False), (-1.0, True)):
        training, fresh = _world(2000, 2, sign, kind), _world(600, 3, sign, kind, 20 * DAY_S)
        found = measure(training, fresh, _losses(old, fresh, signature), signature, None, POLICY)
        assert found.pays is pays, found.reason
        assert found.evidence["rows"] == 600
        assert (found.evidence["low"] > 0) is pays


def test_an_equal_champion_seldom_pays():
    signature, paid = _signature(), 0
    old = _world(1500, 1, 1.0)
    for seed in range(12):
        training = _world(1500, 100 + seed, 1.0)
        fresh = _world(400, 200 + seed, 1.0, start=20 * DAY_S)
        paid += measure(
            training, fresh, _losses(old, fresh, signature), signature, None, POLICY
        ).pays
    assert paid <= 2


def test_features_are_computed_by_their_expressions():
    signature = _signature()
    training, fresh = _world(2000, 2, -1.0), _world(600, 3, -1.0)
    losses = np.full(600, 0.4)
    useful = measure(training, fresh, losses, signature, {"f": "x * 2", "plan": "plan"}, POLICY)
    useless = measure(training, fresh, losses, signature, {"f": "noise + 1"}, POLICY)
    assert useful.evidence["challenger_loss"] < useless.evidence["challenger_loss"] - 0.05
    with pytest.raises(BadInputError, match="features"):
        measure(training, fresh, losses, signature, {"f": "nothing_there + 1"}, POLICY)


def test_the_same_rows_always_give_the_same_answer():
    training, fresh = _world(2000, 2, -1.0), _world(600, 3, -1.0)
    answers = [
        measure(training, fresh, np.full(600, 0.3), _signature(), None, POLICY) for _ in "12"
    ]
    assert answers[0] == answers[1]


def test_what_is_saved_must_be_more_than_the_cost():
    champion, challenger = np.full(1000, 0.5), np.full(1000, 0.4)
    challenger[::2] -= 0.001
    times = np.linspace(0, 10 * DAY_S, 1000)
    given = {"champion_losses": champion, "challenger_losses": challenger, "times": times}
    cheap = compare(**given, policy=RetrainingPolicy(cost=90, value_per_loss=1), volume=1000)
    dear = compare(**given, policy=RetrainingPolicy(cost=110, value_per_loss=1), volume=1000)
    assert (cheap.pays, dear.pays) == (True, False)
    assert cheap.reason.startswith(
        "On the newest 1000 labelled rows the champion loses 0.5000 a row, a fresh challenger "
        "0.3995: surely 0.100"
    )
    assert "not more than the 110 that a retraining costs" in dear.reason
    assert cheap.evidence["worth"] == pytest.approx(100, abs=1)


def test_the_pace_of_the_rows_says_how_many_are_ahead():
    times = np.linspace(0, 2 * DAY_S, 201)
    assert volume_ahead(times, RetrainingPolicy(check_every_s=7 * DAY_S)) == pytest.approx(703.5)
    none = RetrainingPolicy(check_every_s=None, cooldown_s=DAY_S)
    assert volume_ahead(times, none) == pytest.approx(100.5)
    assert volume_ahead([5.0, 5.0], RetrainingPolicy()) == 2


@pytest.mark.parametrize(("training", "fresh"), [(99, 30), (100, 29), (0, 0)])
def test_too_few_rows_never_pay_and_say_how_many_are_needed(training, fresh):
    found = measure(
        _world(training, 1, 1.0), _world(fresh, 2, 1.0), np.ones(fresh), _signature(), None, POLICY
    )
    assert not found.pays
    assert f"{training} to learn from and {fresh} to compare on; 100 and 30" in found.reason


def test_losses_of_other_rows_are_refused():
    with pytest.raises(BadInputError):
        measure(_world(200, 1, 1.0), _world(50, 2, 1.0), np.ones(49), _signature(), None, POLICY)


def test_text_unseen_categories_and_missing_values_do_no_harm():
    training = _world(500, 1, 1.0).with_columns(
        x=pl.when(pl.int_range(500) % 7 == 0).then(None).otherwise("x"),
        noise=pl.lit(float("inf")),
    )
    fresh = _world(100, 2, 1.0).with_columns(plan=pl.lit("never seen"))
    found = measure(training, fresh, np.full(100, 0.5), _signature(), None, POLICY)
    assert 0 <= found.evidence["challenger_loss"] <= 1


def test_a_training_set_of_one_class_answers_with_it():
    training = _world(200, 1, 1.0).with_columns(y=pl.lit(1))
    fresh = _world(50, 2, 1.0)
    found = measure(training, fresh, np.full(50, 0.2), _signature(), None, POLICY)
    assert found.evidence["challenger_loss"] == pytest.approx((fresh["y"] == 0).mean())


def test_texts_and_truth_values_are_read_as_the_classes_they_name():
    for values, classes in ((["no", "yes"], ("no", "yes")), ([False, True], ("false", "true"))):
        training, fresh = (
            _world(n, s, 1.0).with_columns(
                y=pl.col("y").replace_strict({0: values[0], 1: values[1]})
            )
            for n, s in ((500, 1), (100, 2))
        )
        found = measure(
            training, fresh, np.full(100, 0.25), _signature(classes=classes), None, POLICY
        )
        assert found.evidence["challenger_loss"] < 0.2
        with pytest.raises(BadInputError, match="does not know"):
            measure(training, fresh, np.ones(100), _signature(classes=("a", "b")), None, POLICY)


def test_twenty_thousand_rows_take_little_processor_time():
    training, fresh = _world(30_000, 1, 1.0), _world(5_000, 2, 1.0)
    measure(training, fresh, np.full(5000, 0.3), _signature(), None, POLICY)  # imports
    begun = time.process_time()
    measure(training, fresh, np.full(5000, 0.3), _signature(), None, POLICY)
    assert time.process_time() - begun < 1.5


def test_blocks_are_days_or_tenths_or_single_rows():
    days = time_blocks(np.arange(6) * DAY_S)
    assert days.tolist() == [0, 1, 2, 3, 4, 5]
    tenths = time_blocks(np.arange(40)[::-1])
    assert np.bincount(tenths).tolist() == [4] * 10
    assert tenths[0] == 9
    assert time_blocks(np.zeros(30)).tolist() == list(range(30))
    assert time_blocks([]).tolist() == []
