"""MLflow by its client: on SQLite in this process, or on a server (``MLFLOW_TRACKING_URI``)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="0"
)
_HOME = Path(os.environ["BENCH_FOLDER"])
os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{_HOME}/mlflow.db")

import mlflow  # noqa: E402  it reads its environment when it is imported
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402

VERSION = mlflow.__version__


class Run:
    """A run of MLflow's."""

    def __init__(self, name: str) -> None:
        self.client = MlflowClient()
        found = self.client.get_experiment_by_name("bench")
        if found is None:
            where = None if "http" in os.environ["MLFLOW_TRACKING_URI"] else f"{_HOME}/artifacts"
            number = self.client.create_experiment("bench", artifact_location=where)
        else:
            number = found.experiment_id
        self.id = self.client.create_run(number, run_name=name).info.run_id

    def log(self, values: dict[str, float], step: int) -> None:
        if len(values) == 1:
            for key, value in values.items():
                self.client.log_metric(self.id, key, value, step=step)
            return
        several = [Metric(key, value, step, step) for key, value in values.items()]
        self.client.log_batch(self.id, metrics=several)

    def params(self, values: dict[str, Any]) -> None:
        several = [Param(key, str(value)) for key, value in values.items()]
        self.client.log_batch(self.id, params=several)

    def end(self) -> None:
        self.client.set_terminated(self.id)


def start(folder: Path, name: str) -> Run:
    return Run(name)


def history(folder: Path, run: str, key: str) -> list[Any]:
    return list(MlflowClient().get_metric_history(run, key))


def put(run: Run, path: Path) -> None:
    run.client.log_artifact(run.id, str(path))


def get(folder: Path, run: str, name: str) -> str:
    (folder / "back").mkdir(exist_ok=True)
    return str(MlflowClient().download_artifacts(run, name, str(folder / "back")))
