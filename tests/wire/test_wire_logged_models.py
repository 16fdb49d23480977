"""Logged models of MLflow 3: made, filled, finished, found, deleted; their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException


def test_a_model_is_pending_until_its_files_are_there(client: Any, tmp_path: Path) -> None:
    made = client.create_logged_model(
        "0", name="trees", tags={"team": "ops"}, params={"depth": "3"}, model_type="classifier"
    )
    assert made.model_id.startswith("m-")
    assert (made.status, made.name) == (LoggedModelStatus.PENDING, "trees")
    assert made.artifact_location == f"mlflow-artifacts:/0/models/{made.model_id}/artifacts"
    folder = tmp_path / "package"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights").write_bytes(b"\x00\x01" * 1000)
    client.log_model_artifacts(made.model_id, str(folder))
    done = client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    assert (done.status, done.tags["team"]) == (LoggedModelStatus.READY, "ops")
    assert (done.params, done.model_type) == ({"depth": "3"}, "classifier")
    there = {one.path for one in client.list_logged_model_artifacts(made.model_id)}
    assert there == {"MLmodel", "data"}
    below = client.list_logged_model_artifacts(made.model_id, "data")
    assert [(one.path, one.file_size) for one in below] == [("data/weights", 2000)]


def test_tags_change_and_params_do_not(client: Any, web: httpx.Client) -> None:
    model = client.create_logged_model("0", params={"depth": "3"}).model_id
    client.set_logged_model_tags(model, {"a": "1", "b/c": "2"})
    client.set_logged_model_tags(model, {"a": "3"})
    client.delete_logged_model_tag(model, "b/c")
    assert client.get_logged_model(model).tags == {"a": "3"}
    with pytest.raises(MlflowException, match="No tag with key"):
        client.delete_logged_model_tag(model, "b/c")
    client.log_model_params(model, {"depth": "3", "rate": "0.1"})
    assert client.get_logged_model(model).params == {"depth": "3", "rate": "0.1"}
    told = {"params": [{"key": "depth", "value": "4"}, {"key": "new", "value": "1"}]}
    assert web.post(f"logged-models/{model}/params", json=told).status_code == 400
    assert "new" not in client.get_logged_model(model).params


def test_many_params_come_in_several_requests(client: Any) -> None:
    params = {f"p{n}": str(n) for n in range(350)}
    model = client.create_logged_model("0", params=params)
    assert client.get_logged_model(model.model_id).params == params


def test_a_deleted_model_is_shown_only_to_those_who_ask_for_it(
    client: Any, web: httpx.Client
) -> None:
    model = client.create_logged_model("0").model_id
    client.delete_logged_model(model)
    with pytest.raises(MlflowException, match="not found"):
        client.get_logged_model(model)
    asked = web.get(f"logged-models/{model}", params={"allow_deleted": "true"})
    assert asked.json()["model"]["info"]["model_id"] == model
    assert client.search_logged_models(["0"]) == []


def test_what_is_measured_of_a_model_is_kept_with_its_data(client: Any) -> None:
    run = client.create_run("0").info.run_id
    model = client.create_logged_model("0", source_run_id=run).model_id
    about = {"model_id": model, "dataset_name": "valid", "dataset_digest": "abc"}
    for _ in range(2):  # said twice, kept once
        client.log_metric(run, "auc", 0.9, timestamp=5, step=2, **about)
    client.log_metric(run, "loss", float("nan"), timestamp=5, step=2, model_id=model)
    found = {one.key: one for one in client.get_logged_model(model).metrics}
    assert set(found) == {"auc", "loss"}
    assert (found["auc"].value, found["auc"].step, found["auc"].run_id) == (0.9, 2, run)
    assert (found["auc"].dataset_name, found["auc"].dataset_digest) == ("valid", "abc")
    assert client.get_run(run).data.metrics["auc"] == 0.9


def test_what_is_measured_of_no_model_is_refused_and_nothing_kept(
    client: Any, web: httpx.Client
) -> None:
    run = client.create_run("0").info.run_id
    told = {"run_id": run, "key": "auc", "value": 1, "timestamp": 1}
    assert web.post("runs/log-metric", json={**told, "model_id": "m-0"}).status_code == 404
    half = {**told, "dataset_name": "x"}
    assert web.post("runs/log-metric", json=half).status_code == 400
    assert client.get_run(run).data.metrics == {}


@pytest.fixture
def several(client: Any) -> Any:
    """Models a, b and c; a and b are measured on two datasets."""
    run = client.create_run("0").info.run_id
    for number, name in enumerate("abc"):
        model = client.create_logged_model(
            "0", name=name, source_run_id=run, params={"kind": f"T_{name}"}, tags={"t": name}
        ).model_id
        if name != "c":
            one = {"model_id": model, "dataset_name": "one", "dataset_digest": "1"}
            two = {"model_id": model, "dataset_name": "two", "dataset_digest": "2"}
            client.log_metric(run, "auc", number / 10, timestamp=1, **one)
            client.log_metric(run, "auc", -number / 10, timestamp=2, **two)
        client.finalize_logged_model(model, "READY" if name != "b" else "FAILED")
    return client


def names(models: Any) -> str:
    return "".join(sorted(one.name for one in models))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "abc"),
        ("name = 'a'", "a"),
        ("name != 'a'", "bc"),
        ("name LIKE 'A%'", ""),
        ("attributes.name ILIKE 'A%'", "a"),
        ("name IN ('a', 'c')", "ac"),
        ("params.kind = 'T_a'", "a"),
        ("tags.t = 'b' AND name = 'b'", "b"),
        ("metrics.auc > 0", "b"),
        ("metrics.auc <= 0", "ab"),
        ("status = 'READY'", "ac"),
        ("creation_timestamp > 0", "abc"),
        ("last_updated_timestamp < 0", ""),
    ],
)
def test_models_are_found_by_what_they_are(several: Any, wanted: str, found: str) -> None:
    assert names(several.search_logged_models(["0"], wanted)) == found


def test_a_metric_may_be_meant_of_some_data(several: Any) -> None:
    def search(wanted: str, *data: dict[str, str]) -> str:
        return names(several.search_logged_models(["0"], wanted, datasets=list(data)))

    assert search("metrics.auc > 0", {"dataset_name": "two"}) == ""
    assert search("metrics.auc > 0", {"dataset_name": "two"}, {"dataset_name": "one"}) == "b"
    assert search("", {"dataset_name": "one", "dataset_digest": "1"}) == "ab"
    assert search("", {"dataset_name": "one", "dataset_digest": "2"}) == ""


def test_models_are_ordered_and_paged(several: Any) -> None:
    def pages(**order: Any) -> str:
        found, token = "", None
        while True:
            page = several.search_logged_models(
                ["0"], order_by=[order], max_results=2, page_token=token
            )
            found += "".join(one.name for one in page)
            token = page.token
            if not token:
                return found

    assert pages(field_name="name") == "abc"
    assert pages(field_name="name", ascending=False) == "cba"
    assert pages(field_name="metrics.auc") == "bac"  # the latest counts, and none comes last
    assert pages(field_name="metrics.auc", dataset_name="one", ascending=False) == "bac"


@pytest.mark.parametrize(
    "wanted",
    [
        {"filter": "nothing = 'x'"},
        {"filter": "name > 'x'"},
        {"filter": "metrics.auc > 'x'"},
        {"filter": "metrics.auc"},
        {"order_by": [{"field_name": "nothing"}]},
        {"order_by": [{"field_name": "params.kind"}]},
        {"datasets": [{"dataset_digest": "1"}]},
        {"page_token": "garbage!"},
    ],
)
def test_what_is_no_search_is_refused(
    web: httpx.Client, several: Any, wanted: dict[str, Any]
) -> None:
    found = web.post("logged-models/search", json={"experiment_ids": ["0"], **wanted})
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", "", "it's"])
def test_names_that_would_not_do_in_a_uri_are_refused(web: httpx.Client, name: str) -> None:
    made = web.post("logged-models", json={"experiment_id": "0", "name": name})
    assert made.status_code == 400


def test_a_run_tells_what_it_read_and_made(client: Any, web: httpx.Client) -> None:
    run = client.create_run("0").info.run_id
    one, two = (client.create_logged_model("0", source_run_id=run).model_id for _ in range(2))
    web.post("runs/log-inputs", json={"run_id": run, "models": [{"model_id": one}]})
    made = {"run_id": run, "models": [{"model_id": two, "step": 7}]}
    assert web.post("runs/outputs", json=made).json() == {}
    found = client.get_run(run)
    assert [each.model_id for each in found.inputs.model_inputs] == [one]
    assert [(each.model_id, each.step) for each in found.outputs.model_outputs] == [(two, 7)]
    strange = {"run_id": run, "models": [{"model_id": "m-0"}]}
    assert web.post("runs/outputs", json=strange).status_code == 404
    assert web.post("runs/outputs", json={"run_id": run}).status_code == 400
