"""Registered models and versions made, changed, found and deleted by MLflow's own client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mainspring.workspace.opening import Workspace

#: Clients warn of stages, which servers still keep.
STAGES = pytest.mark.filterwarnings("ignore:.*deprecated since 2.9.0:FutureWarning")


def test_a_model_is_described_tagged_renamed_and_deleted(client: Any) -> None:
    from mlflow.exceptions import RestException

    made = client.create_registered_model("Fraud Model", {"team": "red", "n": 1}, "Finds fraud.")
    assert (made.tags, made.description) == ({"team": "red", "n": "1"}, "Finds fraud.")
    client.update_registered_model("Fraud Model", "Finds more fraud.")
    client.set_registered_model_tag("Fraud Model", "team", "blue")
    client.delete_registered_model_tag("Fraud Model", "n")
    client.rename_registered_model("Fraud Model", "fraud 2")
    found = client.get_registered_model("fraud 2")
    assert (found.tags, found.description) == ({"team": "blue"}, "Finds more fraud.")
    with pytest.raises(RestException, match="name=Fraud Model not found"):
        client.get_registered_model("Fraud Model")
    client.delete_registered_model("fraud 2")
    assert list(client.search_registered_models()) == []
    assert client.create_registered_model("fraud 2").tags == {}


def test_versions_are_made_changed_and_deleted_and_numbers_never_come_back(client: Any) -> None:
    from mlflow.exceptions import RestException

    client.create_registered_model("m")
    first = client.create_model_version("m", "s3://b/k", tags={"a": "b"}, description="one")
    assert (first.version, first.tags, first.description) == ("1", {"a": "b"}, "one")
    assert client.get_model_version_download_uri("m", "1") == first.source == "s3://b/k"
    client.create_model_version("m", "s3://b/l")
    client.update_model_version("m", "2", "two")
    client.set_model_version_tag("m", "2", "k", "")
    found = client.get_model_version("m", "2")
    assert (found.description, found.tags) == ("two", {"k": ""})
    client.delete_model_version_tag("m", "2", "k")
    client.set_registered_model_alias("m", "beta", "2")
    client.delete_model_version("m", "2")
    with pytest.raises(RestException, match=r"Model Version \(name=m, version=2\) not found"):
        client.get_model_version("m", "2")
    assert client.get_registered_model("m").aliases == {}
    assert client.create_model_version("m", "s3://b/n").version == "3"
    copied = client.copy_model_version("models:/m/1", "other")
    assert (copied.version, copied.source) == ("1", "models:/m/1")


@STAGES
def test_stages_take_any_case_and_archive_what_was_there(client: Any) -> None:
    from mlflow.exceptions import RestException

    client.create_registered_model("m")
    for _ in range(3):
        client.create_model_version("m", "s3://b/k")
    client.transition_model_version_stage("m", "1", "production")
    client.transition_model_version_stage("m", "2", "PRODUCTION", archive_existing_versions=True)
    newest = client.get_latest_versions("m")
    assert {v.current_stage: v.version for v in newest} == {
        "Archived": "1",
        "Production": "2",
        "None": "3",
    }
    assert [v.version for v in client.get_latest_versions("m", ["production"])] == ["2"]
    with pytest.raises(RestException, match="Value must be one of"):
        client.transition_model_version_stage("m", "1", "live")
    assert client.get_model_version_by_alias("m", "latest").version == "3"


def test_prompts_are_hidden_unless_they_are_asked_for(client: Any, web: httpx.Client) -> None:
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    made = web.post("registered-models/create", json={"name": "asks", "tags": [tag]})
    assert made.status_code == 200
    told = {"name": "asks", "source": "dummy-source", "tags": [tag]}
    assert web.post("model-versions/create", json=told).status_code == 200
    client.create_registered_model("m")
    client.create_model_version("m", "s3://b/k")

    def names(text: str) -> list[str]:
        return [m.name for m in client.search_registered_models(text)]

    assert names("") == names("tags.`mlflow.prompt.is_prompt` != 'true'") == ["m"]
    assert names("tags.`mlflow.prompt.is_prompt` = 'true'") == ["asks"]
    assert [v.name for v in client.search_model_versions()] == ["m"]
    found = client.search_model_versions("tags.`mlflow.prompt.is_prompt` = 'true'")
    assert [v.name for v in found] == ["asks"]


def test_lists_come_in_the_order_asked_for_a_page_at_a_time(client: Any) -> None:
    for number in range(5):
        client.create_registered_model(f"m{number}", {"even": str(number % 2 == 0)})
        for _ in range(2):
            client.create_model_version(f"m{number}", f"s3://b/{number}")
    page = client.search_registered_models(order_by=["name DESC"], max_results=2)
    rest = client.search_registered_models(
        order_by=["name DESC"], max_results=9, page_token=page.token
    )
    assert [m.name for m in [*page, *rest]] == ["m4", "m3", "m2", "m1", "m0"]
    assert not rest.token
    even = client.search_registered_models("tags.even = 'True' AND name != 'm2'")
    assert [m.name for m in even] == ["m0", "m4"]
    found = client.search_model_versions(order_by=["version_number DESC", "name DESC"])
    assert [(v.name, v.version) for v in found][:2] == [("m4", "2"), ("m3", "2")]
    found = client.search_model_versions("source_path = 's3://b/3'")
    assert [v.version for v in found] == ["2", "1"]


@pytest.mark.parametrize(
    ("source", "run"),
    [
        ("/etc", ""),
        ("file:///etc/passwd", ""),
        ("../../etc", "run"),
        ("mlflow-artifacts:/0/other/artifacts/model", "mine"),
        ("mlflow-artifacts:/0/mine/artifacts/../../x", "mine"),
        ("mlflow-artifacts:/0/mine/artifacts/%252e%252e/x", "mine"),
        ("mlflow-artifacts:/x", "mine"),
        ("models:/m-unknown", ""),
        ("runs://host/run/model", "run"),
    ],
)
def test_a_source_outside_of_what_it_comes_from_is_refused(
    client: Any, web: httpx.Client, source: str, run: str
) -> None:
    client.create_registered_model("m")
    told = {"name": "m", "source": source, "run_id": run}
    found = web.post("model-versions/create", json=told)
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "Invalid model version source" in found.json()["message"]


@STAGES
def test_a_guarded_alias_and_its_stage_are_refused_in_plain_words(
    client: Any, house: Workspace, versions: None
) -> None:
    from mlflow.exceptions import RestException

    from mainspring.workspace import registering

    client.transition_model_version_stage("flights", "4", "Production")
    client.transition_model_version_stage("flights", "4", "None")
    registering.guard(house, "flights", ["champion", "production"])
    with pytest.raises(RestException, match="cannot be called production: it has no passed gate"):
        client.set_registered_model_alias("flights", "production", "4")
    with pytest.raises(RestException, match="go to the stage Production") as found:
        client.transition_model_version_stage("flights", "3", "production")
    assert found.value.error_code == "INVALID_PARAMETER_VALUE"
    client.transition_model_version_stage("flights", "2", "production")
    client.set_registered_model_alias("flights", "production", "2")


def test_what_serves_is_not_deleted(client: Any, versions: None) -> None:
    from mlflow.exceptions import RestException

    client.set_registered_model_alias("flights", "champion", "1")
    for forbidden in (
        lambda: client.delete_model_version("flights", "1"),
        lambda: client.delete_registered_model("flights"),
    ):
        with pytest.raises(RestException, match="champion") as found:
            forbidden()
        assert found.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "told"),
    [
        ("POST", "registered-models/create", {"name": "a/b"}, 400, "cannot contain '/' or ':'"),
        ("POST", "registered-models/create", {}, 400, "required parameter 'name'"),
        ("PATCH", "registered-models/update", {"name": "none"}, 404, "not found"),
        ("POST", "registered-models/rename", {"name": "m"}, 400, "'new_name'"),
        ("DELETE", "registered-models/delete", {"name": "none"}, 404, "not found"),
        ("POST", "registered-models/set-tag", {"name": "m"}, 400, "'key'"),
        ("POST", "model-versions/create", {"name": "none", "source": "s3://b"}, 404, "not found"),
        ("POST", "model-versions/create", {"name": "m"}, 400, "'source'"),
        ("PATCH", "model-versions/update", {"name": "m", "version": "9"}, 404, "not found"),
        ("DELETE", "model-versions/delete", {"name": "m", "version": "9"}, 404, "not found"),
        (
            "POST",
            "model-versions/transition-stage",
            {"name": "m", "version": "9", "stage": "None"},
            404,
            "not found",
        ),
        (
            "POST",
            "registered-models/alias",
            {"name": "m", "alias": "latest", "version": "1"},
            400,
            "is reserved",
        ),
    ],
)
def test_refusals_are_worded_as_clients_expect(
    client: Any,
    web: httpx.Client,
    method: str,
    path: str,
    fields: dict[str, Any],
    status: int,
    told: str,
) -> None:
    client.create_registered_model("m")
    found = web.request(method, path, json=fields)
    assert found.status_code == status
    assert told in found.json()["message"]
