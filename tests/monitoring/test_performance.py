"""Performance is measured on what a version scored, with intervals, and says what it cannot."""

import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.ground.objects import MonitorPolicy, Signature, Window
from mainspring.monitoring.judge import judge_labels
from mainspring.monitoring.labels import Joined
from mainspring.numerics.intervals import mean_interval
from mainspring.numerics.scores import auc

POLICY = MonitorPolicy(loss_tolerance=0.01, label_delay_s=100.0, min_rows=200)
BINARY = Signature(columns=[], kind="binary", target="late", classes=["false", "true"])
COLOURS = Signature(columns=[], kind="multiclass", target="c", classes=["a", "b", "c"])
NUMBER = Signature(columns=[], kind="regression", target="y", scale=10.0)
WINDOW = Window(id="e:0", endpoint="e", start=0.0, end=1000.0, rows=4000, version=3)


def predicted(count: int = 2000, seed: int = 0, bias: float = 0.0) -> pl.DataFrame:
    """Return rows scored by version 3, whose probabilities are right but for a bias."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(2, 3, count)
    return pl.DataFrame(
        {
            "_id": [f"p-{n}" for n in range(count)],
            "_time": np.linspace(0, 999, count),
            "_version": [3] * count,
            "_score": np.clip(chance + bias, 0, 1),
            "_y": (rng.random(count) < chance).astype(np.int64),
        }
    )


def judged(frame, baseline=0.21, signature=BINARY, **given):
    found, alarms = judge_labels(WINDOW, frame, baseline, POLICY, signature=signature, **given)
    assert msgspec.json.decode(msgspec.json.encode(found)) == found  # it is stored as JSON
    return found, alarms


def test_a_good_window_is_quiet_and_its_metrics_have_intervals():
    frame = predicted()
    found, alarms = judged(frame)
    assert (found["verdict"], alarms) == ("quiet", [])
    losses = (frame["_score"] - frame["_y"]).to_numpy() ** 2
    band = mean_interval(losses)
    assert found["loss"]["estimate"] == pytest.approx(band.estimate)
    assert found["loss"]["low"] == pytest.approx(band.low)
    assert found["lower_bound"] < found["loss"]["low"]  # surer than 95 %
    names = "accuracy positive_rate precision recall f1 auc log_loss brier"
    assert set(found["metrics"]) == set(names.split())
    assert found["metrics"]["auc"]["estimate"] == pytest.approx(auc(frame["_score"], frame["_y"]))
    for metric in found["metrics"].values():
        assert metric["low"] < metric["estimate"] < metric["high"]
    assert found["coverage"]["estimate"] == 0.5
    assert found["mature_at"] == 1100.0


def test_a_loss_surely_above_the_line_is_an_alarm_in_words():
    found, alarms = judged(predicted(bias=0.35))
    assert found["verdict"] == "alarm"
    assert [(a.kind, a.subject, a.raised) for a in alarms] == [("performance", "loss", 1000.0)]
    assert "on 2,000 labelled rows (50 % of the window)" in alarms[0].reason
    assert "0.2200 is tolerated" in alarms[0].reason
    assert found["lower_bound"] > found["line"] == pytest.approx(0.22)


def test_a_rise_within_the_tolerance_is_quiet():
    loss = judged(predicted(20_000))[0]["loss"]["estimate"]
    assert judged(predicted(20_000), baseline=loss - 0.009)[1] == []


def test_an_open_performance_alarm_is_not_raised_again():
    open_already = {("performance", "loss")}
    found, alarms = judged(predicted(bias=0.35), open_subjects=open_already)
    assert (found["verdict"], alarms) == ("alarm", [])


def test_windows_of_a_champion_as_good_as_on_its_holdout_raise_nothing():
    policy = MonitorPolicy(loss_tolerance=0.0, min_rows=200)
    truth = judged(predicted(200_000, seed=9))[0]["loss"]["estimate"]
    raised = [
        judge_labels(WINDOW, predicted(1000, seed=s), truth, policy, signature=BINARY)[1]
        for s in range(300)
    ]
    assert sum(map(len, raised)) <= 2


def test_the_champion_is_measured_on_the_rows_of_a_canary_too():
    frame = predicted(2000)
    both = frame.with_columns(
        _other_version=pl.when(pl.int_range(2000) % 4 == 0).then(3).otherwise(None),
        _other_score=pl.when(pl.int_range(2000) % 4 == 0).then("_score").otherwise(None),
        _version=pl.when(pl.int_range(2000) % 4 == 0).then(4).otherwise(3),
        _score=pl.when(pl.int_range(2000) % 4 == 0).then(0.5).otherwise("_score"),
    )
    alone, together = judged(frame)[0], judged(both)[0]
    assert together["rows"] == 2000
    assert together["loss"] == alone["loss"]
    assert together["by_version"]["4"]["rows"] == 500
    assert together["by_version"]["4"]["loss"]["estimate"] == 0.25
    assert together["by_version"]["3"]["metrics"] == alone["metrics"]


def test_without_a_label_it_is_said_and_nothing_is_zero():
    for frame in (predicted().clear(), predicted().with_columns(_version=pl.lit(9))):
        found, alarms = judged(frame)
        assert (found["verdict"], alarms) == ("too few rows", [])
        assert (found["rows"], found["loss"], found["metrics"]) == (0, None, {})
        assert "0 labelled rows of version 3, 200 are needed" in found["why"]


def test_one_labelled_row_has_a_mean_but_no_interval():
    found, alarms = judged(predicted(1))
    assert found["verdict"] == "too few rows"
    assert found["loss"]["low"] is None
    assert alarms == []


def test_one_class_only_leaves_the_auc_out_and_says_why():
    found, _ = judged(predicted().with_columns(_y=pl.lit(1)))
    assert "auc" not in found["metrics"]
    assert "all 2000 rows are of one" in found["undefined"]["auc"]
    assert found["metrics"]["positive_rate"]["estimate"] == 1.0


def test_a_version_without_a_holdout_loss_is_measured_but_not_judged():
    found, alarms = judged(predicted(), baseline=None)
    assert (found["verdict"], found["line"], alarms) == ("no baseline", None, [])
    assert found["loss"]["estimate"] > 0


def test_rows_with_a_score_that_is_no_number_are_left_out():
    frame = predicted().with_columns(
        _score=pl.when(pl.int_range(2000) < 500).then(float("nan")).otherwise("_score")
    )
    assert judged(frame)[0]["rows"] == 1500
    assert judged(frame)[0]["labelled"] == 2000


def test_scores_that_are_no_probabilities_are_stated():
    found, alarms = judged(predicted().with_columns(_score=pl.lit(7.0)))
    assert alarms == []
    assert "Probabilities must lie in [0, 1]" in found["undefined"]["loss"]
    assert "Probabilities must lie in [0, 1]" in found["why"]


def test_what_was_not_joined_stands_in_the_record():
    joined = Joined(rows=predicted(), labels=2100, replaced=3, unmatched=97, foreign={"x": 3})
    found, _ = judged(joined)
    assert (found["unmatched"], found["replaced"], found["foreign"]) == (97, 3, {"x": 3})


def test_labels_of_another_window_are_left_out():
    frame = predicted().with_columns(_time=pl.lit(1000.0))
    assert judged(frame)[0]["rows"] == 0


def test_regression_is_measured_in_its_own_unit():
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 10, 3000)
    frame = pl.DataFrame(
        {"_version": [3] * 3000, "_score": truth + rng.normal(1, 2, 3000), "_y": truth}
    )
    found, alarms = judged(frame, baseline=0.05, signature=NUMBER)
    assert found["metrics"]["rmse"]["estimate"] == pytest.approx(np.sqrt(5), rel=0.05)
    assert found["metrics"]["bias"]["estimate"] == pytest.approx(1, rel=0.1)
    assert found["metrics"]["mae"]["low"] < found["metrics"]["mae"]["estimate"]
    assert alarms == []


def test_several_classes_are_measured():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([1, 1, 1], 1000)
    truth = [int(rng.choice(3, p=p)) for p in scores]
    frame = pl.DataFrame({"_version": [3] * 1000, "_score": scores.tolist(), "_y": truth})
    found, alarms = judged(frame, baseline=0.0, signature=COLOURS)
    names = {f"{what}/{name}" for what in ("precision", "recall", "f1", "auc") for name in "abc"}
    assert set(found["metrics"]) == {"accuracy", "log_loss", "brier"} | names
    assert [alarm.kind for alarm in alarms] == ["performance"]
