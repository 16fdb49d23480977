"""Every metric of labelled rows agrees with scikit-learn and has an interval that holds."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mainspring.ground.objects import Signature
from mainspring.monitoring.measures import measures
from mainspring.numerics.scores import row_losses

BINARY = Signature(columns=[], kind="binary", target="y", classes=["no", "yes"])
COLOURS = Signature(columns=[], kind="multiclass", target="c", classes=["a", "b", "c"])
NUMBER = Signature(columns=[], kind="regression", target="y", scale=10.0)


def of(scores, truth, signature):
    losses = row_losses(signature.kind, scores, truth, signature.scale)
    return measures(scores, truth, losses, signature)


def test_binary_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, 800)
    truth = (rng.random(800) < p).astype(float)
    found, undefined = of(p[:, None], truth, BINARY)
    assert undefined == {}
    said = p >= 0.5
    expected = {
        "accuracy": sk.accuracy_score(truth, said),
        "precision": sk.precision_score(truth, said),
        "recall": sk.recall_score(truth, said),
        "f1": sk.f1_score(truth, said),
        "auc": sk.roc_auc_score(truth, p),
        "log_loss": sk.log_loss(truth, p),
        "brier": sk.brier_score_loss(truth, p),
        "positive_rate": truth.mean(),
    }
    assert {name: part["estimate"] for name, part in found.items()} == pytest.approx(expected)
    assert all(part["low"] < part["estimate"] < part["high"] for part in found.values())


def test_each_class_has_metrics_of_its_own():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1, 1], 900)
    truth = np.array([rng.choice(3, p=row) for row in p]).astype(float)
    found, _ = of(p, truth, COLOURS)
    said = p.argmax(axis=1)
    for number, name in enumerate("abc"):
        only = {"labels": [number], "average": None, "zero_division": 0}
        assert found[f"precision/{name}"]["estimate"] == pytest.approx(
            sk.precision_score(truth, said, **only)[0]
        )
        assert found[f"recall/{name}"]["estimate"] == pytest.approx(
            sk.recall_score(truth, said, **only)[0]
        )
        assert found[f"f1/{name}"]["estimate"] == pytest.approx(
            sk.f1_score(truth, said, **only)[0]
        )
        assert found[f"auc/{name}"]["estimate"] == pytest.approx(
            sk.roc_auc_score(truth == number, p[:, number])
        )
    assert found["log_loss"]["estimate"] == pytest.approx(sk.log_loss(truth, p))


def test_regression_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    truth = rng.gamma(5, 4, 500)
    said = truth + rng.normal(1, 2, 500)
    found, undefined = of(said[:, None], truth, NUMBER)
    expected = {
        "mae": sk.mean_absolute_error(truth, said),
        "rmse": sk.root_mean_squared_error(truth, said),
        "r2": sk.r2_score(truth, said),
        "mape": sk.mean_absolute_percentage_error(truth, said),
        "wape": np.abs(truth - said).sum() / truth.sum(),
        "bias": (said - truth).mean(),
    }
    assert {name: part["estimate"] for name, part in found.items()} == pytest.approx(expected)
    assert undefined == {}


def test_intervals_of_f1_and_r2_hold_as_often_as_they_say():
    rng = np.random.default_rng(3)
    held = [0, 0]
    big = rng.beta(2, 3, 400_000)
    came = rng.random(400_000) < big
    truth_f1 = sk.f1_score(came, big >= 0.5)
    truth_r2 = 1 - 4 / 80  # the variance of gamma(5, 4)
    for _ in range(300):
        p = rng.beta(2, 3, 300)
        found, _ = of(p[:, None], (rng.random(300) < p).astype(float), BINARY)
        held[0] += found["f1"]["low"] <= truth_f1 <= found["f1"]["high"]
        y = rng.gamma(5, 4, 300)
        found, _ = of((y + rng.normal(0, 2, 300))[:, None], y, NUMBER)
        held[1] += found["r2"]["low"] <= truth_r2 <= found["r2"]["high"]
    assert 0.9 <= held[0] / 300 <= 0.985
    assert 0.88 <= held[1] / 300 <= 0.985


def test_what_rows_do_not_define_is_named():
    found, undefined = of(np.array([[0.2], [0.1]]), np.zeros(2), BINARY)
    assert {"precision", "recall", "f1", "auc"} <= set(undefined)
    assert "both classes" in undefined["auc"]
    assert found["accuracy"]["estimate"] == 1.0
    _, undefined = of(np.array([[1.0], [2.0]]), np.zeros(2), NUMBER)
    assert set(undefined) == {"r2", "mape", "wape"}
    found, undefined = of(np.array([[0.7]]), np.ones(1), BINARY)
    assert found["brier"] == {"estimate": pytest.approx(0.09), "low": None, "high": None, "n": 1}
