"""What a script of MLflow's users does, told as checks; run by an interpreter with that MLflow.

    python client_script.py URL FOLDER

Prints the names of the checks that passed, and ends with 1 at the first that does not hold. It
knows nothing of this project: it is what a stranger's script is.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    GIT_PYTHON_REFRESH="quiet",
)
warnings.simplefilter("ignore")

import mlflow  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

CHECKS: list[Callable[[], None]] = []
FOLDER = Path(sys.argv[2])
X, Y = load_iris(return_X_y=True, as_frame=True)
NEEDS = ["scikit-learn"]  # said here, or MLflow starts a process to find out
MODEL = LogisticRegression(max_iter=300).fit(X, Y)


def check(work: Callable[[], None]) -> Callable[[], None]:
    """Add one check, run in the order in which they stand here."""
    CHECKS.append(work)
    return work


def refused(work: Callable[[], object], code: str) -> None:
    """Expect a refusal with MLflow's code."""
    found = None
    try:
        work()
    except MlflowException as error:
        found = error.error_code
    assert found == code, found


@check
def a_run_is_logged_and_read_back() -> None:
    mlflow.set_experiment("classic")
    with mlflow.start_run(run_name="first", description="by hand") as run:
        mlflow.log_params({"trees": 100, "rate": 0.1})
        mlflow.log_metrics({"auc": 0.7, "loss": 0.3}, step=1)
        mlflow.log_metric("auc", 0.8, step=2)
        mlflow.log_metric("nan", math.nan)
        mlflow.set_tags({"team": "ops", "state": "new"})
        mlflow.delete_tag("state")
        with mlflow.start_run(nested=True, run_name="child"):
            mlflow.log_metric("auc", 0.1)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params == {"trees": "100", "rate": "0.1"}
    assert found.data.metrics["auc"] == 0.8
    assert math.isnan(found.data.metrics["nan"])
    assert found.data.tags["mlflow.note.content"] == "by hand"
    assert "state" not in found.data.tags
    assert (found.info.status, found.info.run_name) == ("FINISHED", "first")
    points = MlflowClient().get_metric_history(run.info.run_id, "auc")
    assert [(one.step, one.value) for one in points] == [(1, 0.7), (2, 0.8)]
    children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert list(children["tags.mlflow.runName"]) == ["child"]


@check
def params_never_change_and_a_batch_is_whole_or_nothing() -> None:
    client = MlflowClient()
    run = client.create_run("0").info.run_id
    client.log_param(run, "a", 1)
    client.log_param(run, "a", 1)
    refused(lambda: client.log_param(run, "a", 2), "INVALID_PARAMETER_VALUE")
    params = [mlflow.entities.Param("new", "1"), mlflow.entities.Param("a", "2")]
    refused(lambda: client.log_batch(run, params=params), "INVALID_PARAMETER_VALUE")
    assert client.get_run(run).data.params == {"a": "1"}


@check
def names_and_states_of_experiments() -> None:
    client = MlflowClient()
    number = client.create_experiment("held", tags={"team": "ops"})
    refused(lambda: client.create_experiment("held"), "RESOURCE_ALREADY_EXISTS")
    client.rename_experiment(number, "renamed")
    client.set_experiment_tag(number, "kind", "x")
    client.delete_experiment(number)
    refused(lambda: client.create_run(number), "INVALID_PARAMETER_VALUE")
    client.restore_experiment(number)
    found = client.search_experiments(filter_string="name LIKE 'ren%' AND tags.kind = 'x'")
    assert [one.name for one in found] == ["renamed"]
    refused(lambda: client.get_experiment("987654"), "RESOURCE_DOES_NOT_EXIST")


@check
def runs_are_found_ordered_and_paged() -> None:
    client = MlflowClient()
    number = client.create_experiment("searched")
    for n in range(7):
        run = client.create_run(number, run_name=f"r{n}").info.run_id
        client.log_metric(run, "auc", n / 10)
        client.log_param(run, "kind", "even" if n % 2 == 0 else "odd")
        client.set_terminated(run, "FAILED" if n == 6 else "FINISHED")
    frame = mlflow.search_runs(
        [number],
        filter_string="metrics.auc > 0.1 and params.kind = 'even' and status = 'FINISHED'",
        order_by=["metrics.auc DESC"],
    )
    assert list(frame["tags.mlflow.runName"]) == ["r4", "r2"]
    seen: list[str] = []
    token = None
    while True:
        page = client.search_runs(
            [number], order_by=["metrics.auc ASC"], max_results=3, page_token=token
        )
        seen += [one.info.run_name for one in page]
        token = page.token
        if not token:
            break
    assert seen == [f"r{n}" for n in range(7)]
    client.delete_run(run)
    assert len(client.search_runs([number])) == 6
    client.restore_run(run)
    assert len(client.search_runs([number])) == 7


@check
def artifacts_go_up_and_come_down() -> None:
    local = FOLDER / "up"
    (local / "deep").mkdir(parents=True)
    (local / "a.bin").write_bytes(os.urandom(3_000_000))
    (local / "deep" / "b 50%.txt").write_text("ü")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(local), "files")
        mlflow.log_dict({"a": [1]}, "config.json")
        mlflow.log_text("hello", "notes.txt")
        mlflow.log_table({"x": [1, 2]}, "table.json")
    client = MlflowClient()
    there = {(one.path, one.is_dir) for one in client.list_artifacts(run.info.run_id)}
    wanted = {("files", True), ("config.json", False), ("notes.txt", False), ("table.json", False)}
    assert there == wanted, there
    down = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id))
    assert (down / "files" / "a.bin").read_bytes() == (local / "a.bin").read_bytes()
    assert (down / "files" / "deep" / "b 50%.txt").read_text() == "ü"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/config.json") == {"a": [1]}


@check
def a_large_file_goes_up_in_parts() -> None:
    os.environ.update(
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE="1000000",
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 << 20),
    )
    large = FOLDER / "large.bin"
    large.write_bytes(os.urandom((12 << 20) + 7))
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(large), "big")
    down = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/big/large.bin")
    assert Path(down).read_bytes() == large.read_bytes()
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "false"


@check
def a_model_is_logged_loaded_and_predicts() -> None:
    mlflow.set_experiment("models")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            MODEL,
            name="clf",
            signature=infer_signature(X, MODEL.predict(X)),
            input_example=X[:3],
            params={"C": 1.0},
            pip_requirements=NEEDS,
        )
        mlflow.log_metric("acc", 0.97, model_id=info.model_id)
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/clf", f"models:/{info.model_id}"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(X[:5])) == list(MODEL.predict(X[:5]))
    logged = mlflow.get_logged_model(info.model_id)
    assert str(logged.status) == "READY"
    assert [(one.key, one.value) for one in logged.metrics] == [("acc", 0.97)]
    found = mlflow.search_logged_models(
        filter_string="name = 'clf' AND metrics.acc > 0.9", output_format="list"
    )
    assert [one.model_id for one in found] == [info.model_id]
    outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
    assert [one.model_id for one in outputs] == [info.model_id]
    mlflow.set_logged_model_tags(info.model_id, {"good": "yes"})
    assert mlflow.get_logged_model(info.model_id).tags["good"] == "yes"


@check
def data_is_noted_and_runs_are_found_by_it() -> None:
    data = mlflow.data.from_pandas(X.assign(y=Y), targets="y", name="iris")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training")
    [told] = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert (told.dataset.name, told.dataset.digest) == ("iris", data.digest)
    found = mlflow.search_runs(filter_string="dataset.name = 'iris'")
    assert list(found["run_id"]) == [run.info.run_id]


@check
def autolog_logs_params_metrics_data_and_the_model() -> None:
    mlflow.sklearn.autolog(log_input_examples=True, silent=True)
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=200).fit(X, Y)
    mlflow.sklearn.autolog(disable=True)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params["max_iter"] == "200"
    assert found.data.metrics["training_accuracy_score"] > 0.9
    assert found.inputs.dataset_inputs
    [made] = found.outputs.model_outputs
    loaded = mlflow.sklearn.load_model(f"models:/{made.model_id}")
    assert loaded.score(X, Y) > 0.9


@check
def models_are_registered_and_loaded_by_alias() -> None:
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(MODEL, name="reg", pip_requirements=NEEDS)
    version = mlflow.register_model(info.model_uri, "iris-clf")
    client = MlflowClient()
    client.set_registered_model_alias("iris-clf", "candidate", version.version)
    client.set_model_version_tag("iris-clf", version.version, "by", "hand")
    for uri in (f"models:/iris-clf/{version.version}", "models:/iris-clf@candidate"):
        assert list(mlflow.pyfunc.load_model(uri).predict(X[:5])) == list(MODEL.predict(X[:5]))
    found = client.search_model_versions("name = 'iris-clf'")
    assert [one.tags["by"] for one in found] == ["hand"]


@check
def what_is_of_other_trades_is_missed_quietly() -> None:
    """Traces are of a newer trade: a script that makes some goes on."""

    @mlflow.trace
    def double(x: int) -> int:
        return 2 * x

    assert double(4) == 8


@check
def a_model_is_evaluated() -> None:
    try:
        import matplotlib  # noqa: F401  the plots of an evaluation
    except ImportError:
        return
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(MODEL, name="judged", pip_requirements=NEEDS)
        found = mlflow.models.evaluate(
            info.model_uri,
            pd.DataFrame(X).assign(y=Y),
            targets="y",
            model_type="classifier",
            evaluator_config={"log_explainer": False},
        )
    assert found.metrics["accuracy_score"] > 0.9
    assert "confusion_matrix" in found.artifacts


@check
def a_study_is_logged_by_optunas_callback() -> None:
    try:
        import optuna
        from optuna_integration.mlflow import MLflowCallback
    except ImportError:
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    callback = MLflowCallback(tracking_uri=mlflow.get_tracking_uri(), metric_name="loss")
    study = optuna.create_study(study_name="tuned")
    study.optimize(
        lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=3, callbacks=[callback]
    )
    found = mlflow.search_runs(experiment_names=["tuned"])
    assert len(found) == 3
    assert {"metrics.loss", "params.x"} <= set(found.columns)


def main() -> int:
    """Run every check against a server."""
    mlflow.set_tracking_uri(sys.argv[1])
    for work in CHECKS:
        work()
        print(work.__name__, flush=True)
    print(f"mlflow {mlflow.__version__}: {len(CHECKS)} checks", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
