"""Autolog: every fit is noted once, none is broken, and all of it can be taken back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io import loads
from sqlalchemy import select

import mainspring as ms
from mainspring.experiments import artifacts, metrics, runs, tables
from mainspring.experiments.autolog import sessions
from mainspring.experiments.autolog.patching import AutologWarning
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tracking.catching_up import caught_up

RNG = np.random.default_rng(1)
X = RNG.normal(size=(120, 3))
Y = (X[:, 0] + RNG.normal(size=120) * 0.5 > 0).astype(int)
TABLE = pd.DataFrame(X, columns=["a", "b", "c"])


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.chdir(tmp_path)
    for name in ("MAINSPRING_RUN", "MAINSPRING_URL", "MAINSPRING_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = open_workspace(load())
    ms.autolog()
    yield found
    ms.autolog(False)
    found.close()


def noted(ws: Workspace) -> list[Run]:
    """Return every run, in the order they began."""

    def look(tx: Any) -> list[Run]:
        return runs.several(tx, [row.id for row in tx.all(select(tables.runs.c.id))])

    return sorted(caught_up(ws).read(Permission.READ, look), key=lambda run: run.id)


def file_of(ws: Workspace, run: Run, path: str) -> bytes:
    found = ws.read(Permission.READ, lambda tx: artifacts.get(tx, run.id, path))
    return ws.objects.get(found.digest)


def test_a_fit_makes_a_run_with_params_metrics_and_model(ws: Workspace) -> None:
    model = LogisticRegression(C=0.5).fit(X, Y)
    (run,) = noted(ws)
    assert (run.name, str(run.status), run.params["C"]) == (
        "LogisticRegression",
        "finished",
        "0.5",
    )
    assert run.tags["mainspring.estimator"].endswith("LogisticRegression")
    assert run.metrics["training/accuracy"] == pytest.approx(model.score(X, Y))
    assert {"training/auc", "training/log_loss", "training/f1"} <= set(run.metrics)
    again = loads(file_of(ws, run, "model/model.skops"))
    assert (again.predict(X) == model.predict(X)).all()


def test_a_regressor_has_the_metrics_of_its_task(ws: Workspace) -> None:
    model = LinearRegression().fit(X, X[:, 1] * 2 + 1)
    (run,) = noted(ws)
    assert run.metrics["training/r2"] == pytest.approx(1.0)
    assert run.metrics["training/rmse"] == pytest.approx(0.0, abs=1e-9)
    assert model.coef_[1] == pytest.approx(2.0)


def test_a_score_that_is_asked_for_later_goes_to_the_fits_run(ws: Workspace) -> None:
    model = LogisticRegression().fit(X[:80], Y[:80])
    with ms.run("other"):
        value = model.score(X[80:], Y[80:])
    fitted = noted(ws)[0]
    assert fitted.metrics["score"] == value
    assert str(fitted.status) == "finished"


def test_metrics_of_later_predictions_go_to_the_fits_run(ws: Workspace) -> None:
    first, second = LogisticRegression(C=1).fit(X, Y), LogisticRegression(C=0.001).fit(X, Y)
    rows, truth = X[:40], Y[:40]
    accuracy = sklearn.metrics.accuracy_score(truth, first.predict(rows))
    area = sklearn.metrics.roc_auc_score(truth, y_score=second.predict_proba(rows)[:, 1])
    sklearn.metrics.accuracy_score(truth, np.zeros(40))  # nobody's predictions
    one, two = noted(ws)
    assert one.metrics["accuracy_score"] == accuracy
    assert "roc_auc_score" not in one.metrics
    assert two.metrics["roc_auc_score"] == area
    assert "accuracy_score" not in two.metrics
    ms.autolog(False)
    assert not hasattr(sklearn.metrics.accuracy_score, "__mainspring_original__")


def test_a_pipeline_is_one_run_and_what_only_transforms_is_none(ws: Workspace) -> None:
    StandardScaler().fit(X)
    make_pipeline(StandardScaler(), LogisticRegression(C=3)).fit(TABLE, Y)
    (run,) = noted(ws)
    assert run.name == "Pipeline"
    assert run.params["logisticregression__C"] == "3"
    assert run.params["steps"] == '["standardscaler","logisticregression"]'


def test_a_search_has_its_candidates_as_children(ws: Workspace) -> None:
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(X, Y)
    found = noted(ws)
    search, candidates = found[0], found[1:]
    assert search.name == "GridSearchCV"
    assert search.metrics["best_cv_score"] == max(
        run.metrics["mean_test_score"] for run in candidates
    )
    tried = sorted((run.params for run in candidates), key=lambda params: float(params["C"]))
    assert tried == [{"C": "0.1"}, {"C": "1.0"}, {"C": "10.0"}]
    assert {run.parent for run in candidates} == {search.id}


def test_inside_of_a_run_the_first_fit_is_its_own_and_later_ones_are_children(
    ws: Workspace,
) -> None:
    with ms.run("mine", name="outer") as outer:
        LogisticRegression(C=1).fit(X, Y)
        LogisticRegression(C=2).fit(X, Y)
    found = noted(ws)
    assert [(run.name, run.params["C"], run.parent) for run in found] == [
        ("outer", "1", None),
        ("LogisticRegression", "2", outer.id),
    ]
    assert {run.experiment for run in found} == {"mine"}


def test_a_clusterer_and_importances(ws: Workspace) -> None:
    KMeans(3, n_init=1, random_state=0).fit(X)
    RandomForestClassifier(5, random_state=0).fit(TABLE, Y)
    clusters, forest = noted(ws)
    assert clusters.metrics["training/inertia"] > 0
    told = json.loads(file_of(ws, forest, "feature_importance.json"))
    assert max(told, key=told.__getitem__) == "a"


@pytest.mark.parametrize("estimator", [False, True])
def test_xgboost_is_followed_round_by_round(ws: Workspace, estimator: bool) -> None:
    if estimator:
        model = xgboost.XGBClassifier(n_estimators=6, max_depth=2, early_stopping_rounds=3)
        model.fit(TABLE, Y, eval_set=[(TABLE, Y)], verbose=False)
        key = "validation_0/logloss"
    else:
        rows = xgboost.DMatrix(TABLE, Y)
        params = {"max_depth": 2, "objective": "binary:logistic"}
        xgboost.train(
            params, rows, 6, evals=[(rows, "held")], early_stopping_rounds=3, verbose_eval=False
        )
        key = "held/logloss"
    (run,) = noted(ws)
    points, _ = ws.read(Permission.READ, lambda tx: metrics.history(tx, run.id, key))
    assert [point.step for point in points] == list(range(6))
    assert points[-1].value < points[0].value
    assert run.params["max_depth"] == "2"
    assert run.metrics["best_iteration"] == 5
    booster = xgboost.Booster()
    booster.load_model(bytearray(file_of(ws, run, "model/model.ubj")))
    assert booster.num_boosted_rounds() == 6
    assert "a" in json.loads(file_of(ws, run, "feature_importance.json"))


@pytest.mark.parametrize("estimator", [False, True])
def test_lightgbm_is_followed_round_by_round(ws: Workspace, estimator: bool) -> None:
    stop = lightgbm.early_stopping(20, verbose=False)
    if estimator:
        model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=4, verbose=-1)
        model.fit(TABLE, Y, eval_X=(TABLE,), eval_y=(Y,), callbacks=[stop])
        key = "valid_0/binary_logloss"
    else:
        rows = lightgbm.Dataset(TABLE, Y)
        params = {"num_leaves": 4, "objective": "binary", "verbose": -1}
        held = rows.create_valid(TABLE, Y)
        lightgbm.train(params, rows, 6, valid_sets=[held], valid_names=["held"], callbacks=[stop])
        key = "held/binary_logloss"
    (run,) = noted(ws)
    points, _ = ws.read(Permission.READ, lambda tx: metrics.history(tx, run.id, key))
    assert [point.step for point in points] == list(range(6))
    assert run.params["num_leaves"] == "4"
    assert run.metrics["best_iteration"] == 6
    text = file_of(ws, run, "model/model.txt").decode()
    assert lightgbm.Booster(model_str=text).num_trees() == 6


def test_a_fit_that_raises_is_a_failed_run_and_raises_as_before(ws: Workspace) -> None:
    with pytest.raises(ValueError, match="inconsistent"):
        LogisticRegression().fit(X, Y[:5])
    (run,) = noted(ws)
    assert str(run.status) == "failed"


def test_what_cannot_be_noted_is_warned_of_once_and_breaks_no_fit(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(sessions.ACTIVE.sink, "begin", broken)
    with pytest.warns(AutologWarning, match="the disk is full"):
        first = LogisticRegression().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = LogisticRegression().fit(X, Y)
    assert (first.coef_ == second.coef_).all()
    assert noted(ws) == []


def test_models_of_a_kind_that_cannot_be_kept_are_fitted_all_the_same(ws: Workspace) -> None:
    class Strange(ClassifierMixin, BaseEstimator):
        def fit(self, rows: Any, truth: Any) -> Strange:
            self.classes_ = np.unique(truth)
            self.rest_ = (one for one in rows)  # nothing can write this down
            return self

        def predict(self, rows: Any) -> Any:
            return np.zeros(len(rows), dtype=int)

    with pytest.warns(AutologWarning, match="keep the model"):
        Strange().fit(X, Y)
    (run,) = noted(ws)
    assert (run.name, str(run.status)) == ("Strange", "finished")
    assert run.metrics["training/accuracy"] == pytest.approx((Y == 0).mean())


def test_turned_off_everything_is_as_before(ws: Workspace) -> None:
    ms.autolog(False)
    kinds: list[tuple[Any, str]] = [
        (LogisticRegression, "fit"),
        (xgboost, "train"),
        (lightgbm, "train"),
        (xgboost.sklearn, "train"),
    ]
    for owner, name in kinds:
        assert not hasattr(getattr(owner, name), "__mainspring_original__")
    assert "__init_subclass__" not in vars(BaseEstimator)
    LogisticRegression().fit(X, Y)
    assert noted(ws) == []
    ms.autolog()
    ms.autolog()
    LogisticRegression().fit(X, Y)
    assert len(noted(ws)) == 1


def test_fits_of_several_threads_are_runs_of_their_own(ws: Workspace) -> None:
    def fit(rate: float) -> None:
        for _ in range(3):
            LogisticRegression(C=rate).fit(X, Y)

    threads = [threading.Thread(target=fit, args=(rate,)) for rate in (0.1, 1.0, 10.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = noted(ws)
    assert sorted(run.params["C"] for run in found) == ["0.1"] * 3 + ["1.0"] * 3 + ["10.0"] * 3
    assert {str(run.status) for run in found} == {"finished"}


def test_what_a_cross_validation_fits_is_noted_fit_by_fit(ws: Workspace) -> None:
    cross_val_score(LogisticRegression(), X, Y, cv=3)
    assert len(noted(ws)) == 3


def test_a_library_that_is_imported_later_is_followed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import mainspring as ms
ms.autolog(experiment="later")
import sys
assert "sklearn" not in sys.modules
from sklearn.linear_model import LogisticRegression
LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    found = open_workspace(load())
    try:
        (run,) = noted(found)
    finally:
        found.close()
    assert (run.experiment, run.name) == ("later", "LogisticRegression")


def test_served_models_are_kept_whole(ws: Workspace) -> None:
    ms.autolog(models="served")
    LogisticRegression().fit(TABLE, pd.Series(Y, name="label"))
    (run,) = noted(ws)
    assert b"flavors" in file_of(ws, run, "mainspring/models/model/MLmodel")


def test_bad_input_is_refused(ws: Workspace) -> None:
    with pytest.raises(BadInputError) as caught:
        ms.autolog(models="pickled")  # type: ignore[arg-type]
    assert caught.value.field == "models"
    with pytest.raises(BadInputError):
        ms.autolog(experiment=" ")
