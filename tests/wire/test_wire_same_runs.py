"""What is logged by our SDK and what is logged by MLflow are the same runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

import mainspring as ms
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.runs import run_detail
from mainspring.workspace.views.searching import run_page


@pytest.fixture
def home(house: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The served home, which scripts of this process log to."""
    for name in ("MAINSPRING_URL", "MAINSPRING_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(house.home))
    monkeypatch.chdir(house.home.parent)
    return house


def test_mlflow_finds_and_goes_on_with_our_runs(home: Workspace, mlflow: Any) -> None:
    with ms.run("shared", name="ours", params={"C": 1}, capture=False) as run:
        run.log(auc=0.5, step=1)
        run.log({"loss": math.nan}, step=1)
        run.tag(team="ops")
        run.log_text("hello", "notes/a.txt")
    found = mlflow.get_run(run.id)
    assert (found.info.run_name, found.info.status) == ("ours", "FINISHED")
    assert (found.data.params, found.data.metrics["auc"]) == ({"C": "1"}, 0.5)
    assert found.data.tags["team"] == "ops"
    number = mlflow.get_experiment_by_name("shared").experiment_id
    frame = mlflow.search_runs([number], "metrics.auc > 0.4 and params.C = '1'")
    assert list(frame["run_id"]) == [run.id]
    assert mlflow.artifacts.load_text(f"runs:/{run.id}/notes/a.txt") == "hello"
    with mlflow.start_run(run_id=run.id):
        mlflow.log_metric("auc", 0.7, step=2)
    points = mlflow.MlflowClient().get_metric_history(run.id, "auc")
    assert [(one.step, one.value) for one in points] == [(1, 0.5), (2, 0.7)]


def test_we_find_what_mlflow_logged(home: Workspace, mlflow: Any) -> None:
    mlflow.set_experiment("shared")
    with mlflow.start_run(run_name="theirs") as run:
        mlflow.log_param("C", 2)
        mlflow.log_metric("auc", math.inf)
    found = run_detail(home, run.info.run_id).run
    assert (found.name, found.params, found.metrics) == ("theirs", {"C": "2"}, {"auc": math.inf})
    page = run_page(home, filter="params.C = 2 and status = 'finished'")
    assert [one.id for one in page.runs] == [run.info.run_id]


def test_a_run_whose_process_died_is_failed_to_mlflow(home: Workspace, client: Any) -> None:
    from mainspring.experiments import runs
    from mainspring.ground.objects import RunStatus
    from mainspring.ground.permissions import Permission

    names = {}
    for status in ("FAILED", "FINISHED", "RUNNING", "SCHEDULED", "KILLED"):
        run = client.create_run("0", run_name=status).info.run_id
        if status != "RUNNING":
            client.update_run(run, status=status)
        names[status] = run
    crashed = client.create_run("0", run_name="CRASHED").info.run_id
    home.write(Permission.LOG, lambda tx: runs.end(tx, crashed, RunStatus.CRASHED, 1.0))
    assert client.get_run(crashed).info.status == "FAILED"
    assert client.get_run(names["SCHEDULED"]).info.status == "SCHEDULED"

    def search(wanted: str) -> set[str]:
        return {one.info.run_name for one in client.search_runs(["0"], wanted)}

    assert search("status = 'FAILED'") == {"FAILED", "CRASHED"}
    assert search("status != 'FAILED'") == {"FINISHED", "RUNNING", "SCHEDULED", "KILLED"}
    assert search("status = 'SCHEDULED'") == {"SCHEDULED"}
    assert search("status = 'RUNNING'") == {"RUNNING"}
    assert search("status = 'killed'") == set()
    assert search("attributes.status LIKE 'F%'") == {"FAILED", "CRASHED", "FINISHED"}
    client.update_run(names["SCHEDULED"], status="RUNNING")
    assert search("status = 'RUNNING'") == {"RUNNING", "SCHEDULED"}
