"""A model that only its own code can load runs in its own environment, and answers over HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl

from mainspring.ground.objects import Gate, Routing
from mainspring.ground.permissions import Permission, owner
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.capture import CaptureWriter
from mainspring.scaling.serving.scorers import choosing
from mainspring.workspace import engines, registering
from mainspring.workspace.opening import Workspace
from serving_in_a_thread import answering

CLIENT = Path(__file__).parents[2] / ".venv-mlflow-3.17"
GATE = Gate(at_least={"auc": 0.9}, needs_card=False, max_latency_ms=60_000)
RANDOM = np.random.default_rng(5)
ROWS = pl.DataFrame({"a": RANDOM.normal(size=80), "b": RANDOM.normal(size=80)}).with_columns(
    word=pl.Series(np.where(RANDOM.random(80) < 0.5, "up", "down")),
    n=pl.Series(RANDOM.integers(0, 9, 80)),
    y=(pl.col("a") > pl.col("b")).cast(pl.Int64),
)

#: What a stranger writes: a class of his own, which reads a file beside it.
SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, pandas as pd
import mlflow.pyfunc
from mlflow.models import infer_signature

class Odds(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.shift = float(open(context.artifacts["shift"]).read())
    def predict(self, context, model_input, params=None):
        import numpy as np
        assert str(model_input["n"].dtype) == "int32", model_input.dtypes
        push = (model_input["word"] == "up") * 0.001
        return 1 / (1 + np.exp(-5 * (model_input["a"] - model_input["b"] + self.shift + push)))

open("shift.txt", "w").write("0.125")
rows = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 3.0], "word": ["x", "y"], "n": [1, 2]})
rows["n"] = rows["n"].astype("int32")
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model", python_model=Odds(), artifacts={"shift": "shift.txt"},
        signature=infer_signature(rows, [0.1, 0.2]), registered_model_name="tide",
        pip_requirements=["mlflow-skinny==" + mlflow.__version__, "pandas>=2", "numpy"],
    )
"""


@contextmanager
def endpoint(house: Workspace, digest: str, folder: Path) -> Iterator[httpx.Client]:
    """Serve one package as an endpoint of the house would."""
    app = EndpointApp(
        "tide",
        lambda: Routing(endpoint="tide", model="tide", champion=1, champion_package=digest),
        lambda package: choosing.served(package, house.objects),
        CaptureWriter(folder),
        lambda scope: owner(),
        house.settings,
    )

    with (
        answering(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


def test_a_pyfunc_of_a_stranger_s_class_is_trusted_judged_and_served_in_its_environment(
    house: Workspace, url: str, tmp_path: Path
) -> None:
    assert (CLIENT / "ready").exists(), "There is no MLflow 3.17 to test with. Run: make clients"
    folder = tmp_path / "client"
    folder.mkdir()
    python = CLIENT / "bin" / "python"
    done = subprocess.run(
        [str(python), "-c", SCRIPT, url],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_PYTHON_REFRESH": "quiet"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    # An environment that holds all of the requirements is taken as it is: nothing is installed.
    house.settings = msgspec.structs.replace(house.settings, environments={"ml": str(CLIENT)})
    told = registering.judge(house, "tide", 1, ROWS.to_dicts(), "y", GATE, None)
    engines.settle(house, told)
    assert "nobody has said that it may" in registering.judging(house, told).error
    registering.trust(house, "tide", 1, "A colleague's, whom I asked.")
    told = registering.judge(house, "tide", 1, ROWS.to_dicts(), "y", GATE, None)
    engines.settle(house, told)
    ended = registering.judging(house, told)
    assert ended.result is not None, ended.error
    assert ended.result["passed"], ended.result
    [note] = (house.home / "cache" / "environments").glob("*.json")
    assert msgspec.json.decode(note.read_bytes())["named"] == "ml"

    kept = house.read(Permission.READ, lambda tx: registry.resolve(tx, "tide/1"))
    assert kept.signature.classes == ["0", "1"]
    assert [(one.name, one.type) for one in kept.signature.columns] == [
        *(("a", "float"), ("b", "float")),
        *(("word", "str"), ("n", "int")),
    ]
    assert "origin/python_model.pkl" in package.read_manifest(kept.package, house.objects).files
    row = {"a": 1.0, "b": 0.5, "word": "up", "n": 3}
    with endpoint(house, kept.package, tmp_path / "captures") as client:
        answer = client.post("/invocations", json={"dataframe_records": [row]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == [1]
        np.testing.assert_allclose(answer.json()["scores"], [1 / (1 + np.exp(-5 * 0.626))])
        refused = client.post("/invocations", json={"dataframe_records": [row | {"n": "x"}]})
        assert refused.status_code == 400
        assert "'n'" in refused.text
