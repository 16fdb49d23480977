"""Models cross the wire both ways: ours load in MLflow's pyfunc, theirs are judged and serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import CheckResult, Gate, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import gate, registry
from mainspring.scaling.models import load, package
from mainspring.scaling.models.model import Model
from mainspring.workspace import engines, registering
from mainspring.workspace.opening import Workspace


def rows_of(count: int = 200) -> pl.DataFrame:
    """Return rows with numbers, a text with missing values, and a target in words."""
    found = np.random.default_rng(0)
    a, b = found.normal(size=(2, count))
    word = np.where(found.random(count) < 0.5, "red", "blue").astype(object)
    word[::7] = None
    truth = np.where(a + b + (word == "red") > 0, "yes", "no")
    return pl.DataFrame({"a": a, "b": b, "word": word.tolist(), "y": truth})


def keep(house: Workspace, fitted: Any, name: str = "tide") -> int:
    """Register a fitted model with a passed gate and make it champion."""
    version = Version(
        model=name,
        number=0,
        run=None,
        package=package.write(fitted, house.objects),
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=1.0,
        by="engine",
    )

    def work(tx: Tx) -> int:
        number = registry.register(tx, version).number
        check = CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")
        gate.store_result(tx, gate.result(name, number, [check], 2.0, "engine"))
        registry.promote(tx, name, number, "first", at=3.0)
        return number

    return house.store.write(service("engine"), Permission.WORK, work)


@pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")  # mlflow's own types
@pytest.mark.parametrize("uri", ["models:/tide/1", "models:/tide@champion"])
def test_a_version_of_ours_predicts_the_same_in_pyfunc(
    mlflow: Any, house: Workspace, uri: str
) -> None:
    rows = rows_of()
    expressions = {"sum": "a + b", "red": "CASE WHEN word = 'red' THEN 1 ELSE 0 END"}
    fitted = Model(LogisticRegression(), "y", features=expressions).fit(rows)
    keep(house, fitted)
    served = load.load(package.write(fitted, house.objects), house.objects, prefer="native")
    scores = served.score(rows)
    loaded = mlflow.pyfunc.load_model(uri)
    frame = rows.drop("y").to_pandas()
    assert loaded.predict(frame).tolist() == served.labels(scores)
    scored = mlflow.pyfunc.load_model(uri, model_config={"output": "scores"}).predict(frame)
    assert scored.tolist() == scores[:, 0].tolist()


def test_a_plain_client_needs_neither_us_nor_polars(
    url: str, house: Workspace, tmp_path: Path
) -> None:
    rows = rows_of().with_columns(value=pl.col("a") * 2 + pl.col("b")).drop("y")
    fitted = Model(LinearRegression(), "value", columns=["a", "b"]).fit(rows)
    keep(house, fitted)
    frame = rows.head(5).select("a", "b")
    frame.write_csv(tmp_path / "rows.csv")
    script = (
        "import sys; sys.modules['polars'] = sys.modules['mainspring'] = None\n"
        "import pandas, mlflow\n"
        f"mlflow.set_tracking_uri({url!r})\n"
        "model = mlflow.pyfunc.load_model('models:/tide@champion')\n"
        f"rows = pandas.read_csv({str(tmp_path / 'rows.csv')!r})\n"
        "print(','.join(repr(float(v)) for v in model.predict(rows)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = [float(text) for text in said.stdout.strip().splitlines()[-1].split(",")]
    assert found == fitted.score(frame)[:, 0].tolist()


def test_the_files_of_a_version_are_listed_and_read_and_never_written(
    url: str, house: Workspace
) -> None:
    keep(house, Model(LinearRegression(), "b", columns=["a"]).fit(rows_of()))
    root = f"{url}/api/2.0/mlflow-artifacts/artifacts"
    with httpx.Client(trust_env=False, timeout=60) as web:
        found = web.get(root, params={"path": "versions/tide/1"}).json()["files"]
        assert {"path": "code", "is_dir": True} in found
        assert {one["path"] for one in found} >= {"MLmodel", "model.skops", "signature.json"}
        inside = web.get(root, params={"path": "versions/tide/1/code"}).json()["files"]
        assert [one["path"] for one in inside] == ["mainspring_loader_2.py"]
        told = web.get(f"{root}/versions/tide/1/MLmodel")
        assert told.headers["x-content-type-options"] == "nosniff"
        assert "python_function" in told.text
        for path in ("versions/tide/2/MLmodel", "versions/tide/1/none", "versions/tide/x/a"):
            assert web.get(f"{root}/{path}").status_code == 404
        refused = web.put(f"{root}/versions/tide/1/MLmodel", content=b"x")
        assert refused.status_code == 400
        assert "written once" in refused.json()["message"]


@pytest.mark.parametrize("kept", ["skops", "pickle", "cloudpickle"])
def test_a_model_that_a_client_logs_is_judged_and_served_with_the_same_numbers(
    client: Any, mlflow: Any, house: Workspace, tmp_path: Path, kept: str
) -> None:
    rows = rows_of().drop("word")
    estimator = LogisticRegression().fit(rows.select("a", "b").to_pandas(), rows["y"].to_list())
    run = _logged(client, estimator, tmp_path, kept)
    client.create_registered_model("tide")
    made = client.create_model_version("tide", f"runs:/{run}/model", run)
    assert made.version == "1"
    told = registering.judge(
        house, "tide", 1, rows.to_dicts(), "y", Gate(at_least={"auc": 0.9}, needs_card=False), None
    )
    engines.settle(house, told)
    if kept != "skops":
        refused = registering.judging(house, told)
        assert refused.state == "failed"
        assert "is pickled" in refused.error
        registering.trust(house, "tide", 1, "This test wrote it.")
        told = registering.judge(
            house, "tide", 1, rows.to_dicts(), "y", Gate(needs_card=False), None
        )
        engines.settle(house, told)
    ended = registering.judging(house, told)
    assert ended.result is not None, ended.error
    assert ended.result["passed"]
    client.set_registered_model_alias("tide", "champion", "1")
    routed = house.read(Permission.READ, lambda tx: registry.resolve(tx, "tide@champion"))
    assert routed.origin is not None
    assert "model.pkl" not in package.read_manifest(routed.package, house.objects).files
    served = load.load(routed.package, house.objects)
    assert served.signature.classes == ["no", "yes"]
    wanted = estimator.predict_proba(rows.select("a", "b").to_pandas())[:, 1]
    assert np.abs(served.score(rows.select("a", "b"))[:, 0] - wanted).max() < 1e-5
    exact = load.load(routed.package, house.objects, prefer="native")
    assert exact.score(rows.select("a", "b"))[:, 0].tolist() == wanted.tolist()


def test_a_flavor_that_cannot_be_loaded_is_refused_by_its_name(
    client: Any, house: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  prophet:\n    data: model.pr\n")
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(tmp_path), "model")
    client.create_registered_model("tide")
    client.create_model_version("tide", f"runs:/{run}/model", run)
    rows = rows_of().to_dicts()
    told = registering.judge(house, "tide", 1, rows, "y", Gate(needs_card=False), None)
    engines.settle(house, told)
    assert "of the flavor prophet" in registering.judging(house, told).error
    client.create_model_version("tide", "s3://bucket/model")
    with pytest.raises(ConflictError, match="are not here"):
        registering.judge(house, "tide", 2, rows, "y", Gate(), None)


def _logged(client: Any, estimator: Any, folder: Path, kept: str) -> str:
    """Log what a client writes for a scikit-learn model, and return the run."""
    run: str = client.create_run("0").info.run_id
    client.log_artifacts(run, str(_directory(estimator, folder, kept)), "model")
    return run


def _directory(estimator: Any, folder: Path, kept: str) -> Path:
    """Write what a client writes for a scikit-learn model."""
    import pickle

    import sklearn
    import skops.io

    name = "model.skops" if kept == "skops" else "model.pkl"
    data = skops.io.dumps(estimator) if kept == "skops" else pickle.dumps(estimator)
    (folder / name).write_bytes(data)
    inputs = '[{"type": "double", "name": "a", "required": true}, {"type": "double", "name": "b"}]'
    (folder / "MLmodel").write_text(
        f"""flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: {name}
  sklearn:
    pickled_model: {name}
    serialization_format: {kept}
    sklearn_version: {sklearn.__version__}
signature:
  inputs: '{inputs}'
  outputs: '[{{"type": "string", "required": true}}]'
"""
    )
    return folder


def test_a_logged_model_is_registered_by_its_id_and_by_its_run(
    client: Any, house: Workspace, tmp_path: Path
) -> None:
    rows = rows_of().drop("word")
    estimator = LogisticRegression().fit(rows.select("a", "b").to_pandas(), rows["y"].to_list())
    files = _directory(estimator, tmp_path, "skops")
    run = client.create_run("0").info.run_id
    logged = client.create_logged_model("0", name="model", source_run_id=run)
    client.log_model_artifacts(logged.model_id, str(files))
    client.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model("tide")
    sources = [f"models:/{logged.model_id}", logged.artifact_location, f"runs:/{run}/model"]
    for number, source in enumerate(sources, start=1):
        made = client.create_model_version("tide", source, run, model_id=logged.model_id)
        assert (made.version, made.run_id) == (str(number), run)
        uri = client.get_model_version_download_uri("tide", str(number))
        assert uri == f"mlflow-artifacts:/versions/tide/{number}"
    packages = house.read(Permission.READ, lambda tx: registry.versions(tx, "tide"))
    assert len({version.package for version in packages}) == 1
    assert packages[0].signature.columns[0].name == "a"
    tag = client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"]
    assert [one["version"] for one in json.loads(tag)] == ["1", "2", "3"]
