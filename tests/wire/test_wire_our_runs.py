"""What ``ms.run`` keeps is what MLflow's own client finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.keeping import KeptModel

ROWS = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 20, "late": ["no", "no", "yes", "yes"] * 20})


@pytest.fixture
def kept(house: Workspace, monkeypatch: pytest.MonkeyPatch) -> KeptModel:
    """A model that a run of ours made of an estimator fitted by hand."""
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setenv("MAINSPRING_HOME", house.settings.home)
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    monkeypatch.delenv("MAINSPRING_RUN", raising=False)
    fitted = LogisticRegression().fit(ROWS.select("x"), ROWS["late"].to_numpy())
    with ms.run("ours", params={"C": 1.0}) as run:
        run.log_dataset(ROWS, "rows", "training")
        run.log_table(ROWS, "rows.parquet")
        return run.log_model(fitted, "scorer", example=ROWS, target="late")


@pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")  # mlflow's own types
def test_a_model_of_our_run_is_found_and_its_data_too(kept: KeptModel, mlflow: Any) -> None:
    client = mlflow.MlflowClient()
    found = client.get_run(kept.run)
    [data] = found.inputs.dataset_inputs
    assert (data.dataset.name, data.tags[0].value) == ("rows", "training")
    assert json.loads(data.dataset.profile)["rows"] == 80
    assert [one.model_id for one in found.outputs.model_outputs] == [kept.id]
    model = client.get_logged_model(kept.id)
    assert (model.name, model.source_run_id, model.status) == ("scorer", kept.run, "READY")
    files = [one.path for one in client.list_artifacts(kept.run, "scorer")]
    assert "scorer/MLmodel" in files
    assert len(set(files)) == len(files)


@pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")
def test_a_model_of_our_run_predicts_in_mlflow(
    kept: KeptModel, mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"x": [0.0, 3.0]})
    for uri in (f"models:/{kept.id}", f"runs:/{kept.run}/scorer"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert np.asarray(loaded.predict(rows)).tolist() == ["no", "yes"], uri
