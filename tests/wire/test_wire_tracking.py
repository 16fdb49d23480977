"""Experiments, runs and what is logged for them, by MLflow's own client."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest


def test_a_script_logs_as_it_does_anywhere(mlflow: Any) -> None:
    mlflow.set_experiment("My flights, 2013!")
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params({"trees": 100, "rate": 0.1})
        mlflow.log_metrics({"auc": 0.7, "loss": 0.3}, step=1)
        mlflow.log_metric("auc", 0.8, step=2)
        mlflow.set_tag("team", "ops")
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params == {"trees": "100", "rate": "0.1"}
    assert found.data.metrics == {"auc": 0.8, "loss": 0.3}
    assert found.data.tags["team"] == "ops"
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.info.end_time >= found.info.start_time
    experiment = mlflow.get_experiment_by_name("My flights, 2013!")
    assert experiment.experiment_id == found.info.experiment_id == "1"


def test_a_finished_run_can_be_taken_up_again(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        pass
    with mlflow.start_run(run_id=run.info.run_id):
        assert mlflow.get_run(run.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("late", 1.0)
    assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_failed_script_is_a_failed_run(mlflow: Any) -> None:
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_children_know_their_parent(mlflow: Any) -> None:
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        pass
    tags = mlflow.get_run(child.info.run_id).data.tags
    assert tags["mlflow.parentRunId"] == parent.info.run_id


def test_the_default_experiment_is_there_and_has_the_id_0(client: Any) -> None:
    found = client.get_experiment("0")
    assert (found.name, found.artifact_location) == ("Default", "mlflow-artifacts:/0")
    assert [one.name for one in client.search_experiments()] == ["Default"]


def test_names_of_experiments_are_taken_even_by_deleted_ones(client: Any) -> None:
    from mlflow.exceptions import RestException

    number = client.create_experiment("flights", tags={"team": "ops"})
    run = client.create_run(number)
    client.delete_experiment(number)
    assert client.get_experiment(number).lifecycle_stage == "deleted"
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(RestException, match="deleted state") as found:
        client.create_experiment("flights")
    assert found.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(RestException, match="'active' state"):
        client.create_run(number)
    client.restore_experiment(number)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    client.rename_experiment(number, "other flights")
    client.set_experiment_tag(number, "stage", "trial")
    experiment = client.get_experiment_by_name("other flights")
    assert experiment.tags == {"team": "ops", "stage": "trial"}
    assert client.get_run(run.info.run_id).info.experiment_id == number
    assert client.get_experiment_by_name("flights") is None


def test_experiments_are_found_by_name_and_tag(client: Any) -> None:
    for name in ("a 1", "a 2", "b 1"):
        client.create_experiment(name, tags={"kind": name[0]})
    found = client.search_experiments(filter_string="name LIKE 'a%'", order_by=["name DESC"])
    assert [one.name for one in found] == ["a 2", "a 1"]
    found = client.search_experiments(filter_string="tags.kind = 'b'")
    assert [one.name for one in found] == ["b 1"]
    first = client.search_experiments(max_results=3)
    rest = client.search_experiments(max_results=3, page_token=first.token)
    assert (len(first), len(rest), rest.token or "") == (3, 1, "")


def test_a_param_never_changes_and_its_batch_is_all_or_nothing(client: Any) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

    run = client.create_run("0").info.run_id
    client.log_param(run, "trees", 100)
    client.log_param(run, "trees", 100)
    with pytest.raises(MlflowException, match="Changing param values is not allowed") as found:
        client.log_batch(run, [Metric("auc", 0.7, 1, 0)], [Param("trees", "200")])
    assert found.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run).data.metrics == {}


def test_points_come_twice_and_in_any_order(client: Any) -> None:
    run = client.create_run("0").info.run_id
    points = [(0.9, 20, 2), (0.5, 10, 1), (0.7, 20, 2), (0.9, 20, 2), (0.1, 99, 0)]
    for value, at, step in points:
        client.log_metric(run, "auc", value, timestamp=at, step=step)
    history = client.get_metric_history(run, "auc")
    assert [(m.value, m.timestamp, m.step) for m in history] == [*points[:3], points[4]]
    assert client.get_run(run).data.metrics["auc"] == 0.9


def test_what_json_lacks_comes_back(client: Any) -> None:
    run = client.create_run("0").info.run_id
    for key, value in (("nan", math.nan), ("inf", math.inf), ("ninf", -math.inf)):
        client.log_metric(run, key, value)
    found = client.get_run(run).data.metrics
    assert math.isnan(found["nan"])
    assert (found["inf"], found["ninf"]) == (1.7976931348623157e308, -1.7976931348623157e308)


def test_a_deleted_run_is_hidden_and_comes_back(client: Any) -> None:
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    run = client.create_run("0").info.run_id
    client.delete_run(run)
    assert client.search_runs(["0"]) == []
    assert len(client.search_runs(["0"], run_view_type=ViewType.DELETED_ONLY)) == 1
    assert len(client.search_runs(["0"], run_view_type=ViewType.ALL)) == 1
    with pytest.raises(MlflowException, match="'active' state"):
        client.log_metric(run, "auc", 1.0)
    client.restore_run(run)
    client.log_metric(run, "auc", 1.0)
    assert len(client.search_runs(["0"])) == 1


def test_the_name_and_its_tag_are_one(client: Any) -> None:
    run = client.create_run("0", run_name="one").info.run_id
    assert client.get_run(run).data.tags["mlflow.runName"] == "one"
    client.set_tag(run, "mlflow.runName", "two")
    assert client.get_run(run).info.run_name == "two"
    client.update_run(run, name="three")
    assert client.get_run(run).data.tags["mlflow.runName"] == "three"
    client.set_tag(run, "note", "x")
    client.delete_tag(run, "note")
    assert "note" not in client.get_run(run).data.tags


@pytest.fixture
def several(client: Any) -> Any:
    """Runs a, b and c with metrics, params and tags."""
    for number, name in enumerate("abc"):
        run = client.create_run("0", start_time=1000 * number + 1, run_name=name).info.run_id
        client.log_param(run, "kind", f"Tree_{name}")
        client.set_tag(run, "my tag", name)
        if name != "c":
            client.log_metric(run, "auc", number / 10)
        client.set_terminated(run, "FAILED" if name == "b" else "FINISHED", end_time=9000)
    return client


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("", "cba"),
        ("metrics.auc >= 0.1", "b"),
        ("metrics.auc != 0.1", "a"),
        ("params.kind = 'Tree_a'", "a"),
        ("params.kind LIKE 'tree%'", ""),
        ("params.kind ILIKE 'tree%'", "cba"),
        ("params.kind LIKE 'Tree_a'", "a"),
        ("tags.`my tag` = 'b' and metrics.auc > 0", "b"),
        ('tags."my tag" != "b"', "ca"),
        ("tags.other IS NULL", "cba"),
        ("tags.`my tag` IS NOT NULL", "cba"),
        ("status = 'FAILED'", "b"),
        ("attributes.status IN ('FAILED')", "b"),
        ("attributes.start_time > 500", "cb"),
        ("run_name NOT IN ('a', 'b')", "c"),
        ("end_time <= 9000", "cba"),
    ],
)
def test_runs_are_found_by_what_was_logged(several: Any, wanted: str, names: str) -> None:
    found = several.search_runs(["0"], wanted)
    assert "".join(run.info.run_name for run in found) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["metrics.auc DESC"], "bac"),
        (["metrics.auc ASC"], "abc"),
        (["params.kind"], "abc"),
        (["attributes.start_time ASC"], "abc"),
        (["tags.`my tag` desc"], "cba"),
        (["status", "run_name DESC"], "bca"),
    ],
)
def test_runs_are_ordered_and_those_without_come_last(
    several: Any, order: list[str], names: str
) -> None:
    pages: list[str] = []
    token = None
    while token != "":
        page = several.search_runs(["0"], order_by=order, max_results=2, page_token=token)
        pages += [run.info.run_name for run in page]
        token = page.token or ""
    assert "".join(pages) == names


@pytest.mark.parametrize(
    "wanted",
    [
        "metrics.auc > 'x'",
        "metrics.auc LIKE 'x'",
        "params.kind > 'x'",
        "params.kind = 1",
        "a.b = 'c'",
        "nothing = 'x'",
        "metrics.auc > 1 OR metrics.auc < 1",
        "(metrics.auc > 1)",
        "NOT metrics.auc > 1",
        "metrics.auc >",
        "metrics.auc",
        "params.kind = 'x",
        "start_time > 'x'",
        "params.kind LIKE '" + "%a" * 20 + "'",
        "' OR 1=1 --",
    ],
)
def test_what_is_no_filter_is_refused(web: httpx.Client, wanted: str) -> None:
    found = web.post("runs/search", json={"experiment_ids": ["0"], "filter": wanted})
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
