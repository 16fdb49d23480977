"""A home served on loopback, and MLflow's own client talking to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.identity import sha256
from mainspring.ground.objects import CheckResult, Signature, Version
from mainspring.ground.objects import Column as SignatureColumn
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.readiness import gate, registry
from mainspring.web.app import build_app
from mainspring.workspace.opening import Workspace, open_workspace
from serving_in_a_thread import served

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
)
NOW = 1_700_000_000.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    (tmp_path / "mainspring.toml").write_text("")
    settings = load({"max_body_mb": 2}, start=tmp_path, environ={})
    with contextlib.closing(open_workspace(settings, clock=SystemClock())) as ws:
        yield ws


@pytest.fixture
def url(house: Workspace) -> Iterator[str]:
    """The URL of the house, served by a thread."""
    with served(build_app(house)) as found:
        yield found


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    """A plain client of the wire."""
    base = f"{url}/api/2.0/mlflow"
    with httpx.Client(base_url=base, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def mlflow(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's own fluent API, set to the house."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    mlflow.set_tracking_uri(url)
    yield mlflow
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)  # set_experiment tells child processes by it


@pytest.fixture
def client(mlflow: Any, url: str) -> Any:
    """MLflow's own client of the house."""
    return mlflow.MlflowClient(url)


@pytest.fixture
def versions(house: Workspace) -> None:
    """Versions 1 and 2 (passed), 3 (refused), 4 (no gate) of the model flights."""

    def work(tx: Tx) -> None:
        for number in (1, 2, 3, 4):
            registry.register(tx, _version(number))
            if number < 4:
                check = CheckResult(name="auc", passed=number < 3, found="0.8", wanted="0.7")
                result = gate.result("flights", number, [check], NOW + number, "engine")
                gate.store_result(tx, result)

    house.store.write(service("engine"), Permission.WORK, work)


def _version(number: int) -> Version:
    columns = [SignatureColumn(name="distance", type="float")]
    return Version(
        model="flights",
        number=number,
        run=None,
        package=sha256(str(number).encode()),
        signature=Signature(columns=columns, kind="binary", target="delayed"),
        card=None,
        metrics={"auc": 0.8},
        created=NOW + number,
        by="engine",
    )
