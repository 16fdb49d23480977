"""Boosters that MLflow's own flavors logged are judged and serve, with the parity as evidence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost

from mainspring.ground.objects import Gate
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence, registry
from mainspring.scaling.models import load, package
from mainspring.workspace import engines, registering
from mainspring.workspace.opening import Workspace

RANDOM = np.random.default_rng(3)
NUMBERS = RANDOM.normal(size=(300, 2))
NUMBERS[::9, 1] = np.nan
TRUTH = (NUMBERS[:, 0] + np.nan_to_num(NUMBERS[:, 1]) > 0).astype(int)
ROWS = pl.DataFrame({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "y": TRUTH}).with_columns(
    pl.col("b").fill_nan(None)
)


def of_xgboost() -> tuple[Any, Any]:
    made = xgboost.XGBClassifier(n_estimators=5, n_jobs=1)
    made.fit(ROWS.select("a", "b").to_pandas(), TRUTH)
    return made, made.predict_proba(NUMBERS)[:, 1]


def of_lightgbm() -> tuple[Any, Any]:
    told = {"objective": "binary", "verbose": -1, "num_threads": 1}
    made = lightgbm.train(told, lightgbm.Dataset(NUMBERS, TRUTH, feature_name=["a", "b"]), 5)
    return made, made.predict(NUMBERS)


@pytest.mark.parametrize("flavor", ["xgboost", "lightgbm"])
def test_a_booster_that_a_client_logs_is_judged_and_served(
    mlflow: Any, house: Workspace, tmp_path: Path, flavor: str
) -> None:
    made, wanted = of_xgboost() if flavor == "xgboost" else of_lightgbm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what its own import of pyfunc warns of
        import mlflow.pyfunc
    library = mlflow.xgboost if flavor == "xgboost" else mlflow.lightgbm
    library.save_model(made, tmp_path / "model", pip_requirements=[flavor])
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "model"), "model")
    client = mlflow.MlflowClient()
    client.create_registered_model("tide")
    client.create_model_version("tide", f"runs:/{run.info.run_id}/model", run.info.run_id)

    gate = Gate(at_least={"auc": 0.9}, needs_card=False)
    told = registering.judge(house, "tide", 1, ROWS.to_dicts(), "y", gate, None)
    engines.settle(house, told)
    ended = registering.judging(house, told)
    assert ended.result is not None, ended.error
    assert ended.result["passed"], ended.result
    client.set_registered_model_alias("tide", "champion", "1")
    routed = house.read(Permission.READ, lambda tx: registry.resolve(tx, "tide@champion"))
    served = load.load(routed.package, house.objects)
    assert served.form == "onnx"
    np.testing.assert_allclose(served.score(ROWS)[:, 0], wanted, atol=1e-5)
    native = load.load(routed.package, house.objects, prefer="native")
    np.testing.assert_array_equal(native.score(ROWS)[:, 0], wanted.astype(np.float64))

    [kept] = house.read(Permission.READ, lambda tx: evidence.listing(tx, "tide/1", "parity"))
    assert kept.passed
    assert kept.code == routed.package
    assert kept.detail["labels_differ"] == 0
    assert kept.detail["gaps"] >= 34
    assert "Served as ONNX: 3" in kept.found
    for path, digest in package.read_manifest(routed.package, house.objects).files.items():
        (tmp_path / "ours" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ours" / path).write_bytes(house.objects.get(digest))
    plain = mlflow.pyfunc.load_model(str(tmp_path / "ours"))
    answers = plain.predict(ROWS.drop("y").to_pandas())
    assert answers.tolist() == served.labels(served.score(ROWS))
    again = package.read(routed.package, house.objects)
    assert package.write(again, house.objects) == routed.package
