"""What is in a folder of a run, in MLflow's terms. The bytes go through :mod:`files`."""

from __future__ import annotations

from typing import Any

from mainspring.experiments import artifacts
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.messages import Fields
from mainspring.web.mlflow.places import entry, experiment_of, folder_of
from mainspring.web.mlflow.shown import artifact_uri, run_id
from mainspring.workspace.opening import Workspace


def listed(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return what is in a folder of a run, by paths from the run's root."""
    run, folder = run_id(asked), folder_of(asked.text_or("path"))

    def work(tx: Tx) -> dict[str, Any]:
        number = experiment_of(tx, run)
        files = [entry(one, one.path) for one in artifacts.entries(tx, run, folder)]
        answer: dict[str, Any] = {"root_uri": artifact_uri(number, run)}
        return {**answer, "files": files} if files else answer

    return ws.read(Permission.READ, work)
