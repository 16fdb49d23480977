"""Models, versions and aliases over the wire, by MLflow's own client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.workspace.opening import Workspace


def test_a_model_is_made_once(client: Any) -> None:
    from mlflow.exceptions import RestException

    assert client.create_registered_model("flights").name == "flights"
    with pytest.raises(RestException, match=r"\(name=flights\) already exists") as found:
        client.create_registered_model("flights")
    assert found.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert client.get_registered_model("flights").latest_versions == []
    assert [m.name for m in client.search_registered_models()] == ["flights"]


def test_a_champion_without_a_gate_is_refused_in_plain_words(
    client: Any, house: Workspace, versions: None
) -> None:
    from mlflow.exceptions import RestException

    for number in ("3", "4"):
        with pytest.raises(RestException, match="cannot become champion") as found:
            client.set_registered_model_alias("flights", "champion", number)
        assert found.value.error_code == "INVALID_PARAMETER_VALUE"
    assert house.read(Permission.READ, lambda tx: registry.champion(tx, "flights")) is None


def test_a_version_with_a_passed_gate_becomes_champion(
    client: Any, house: Workspace, versions: None
) -> None:
    client.set_registered_model_alias("flights", "champion", "1")
    client.set_registered_model_alias("flights", "champion", "1")
    client.set_registered_model_alias("flights", "champion", "2")
    client.set_registered_model_alias("flights", "shadow", "4")
    assert house.read(Permission.READ, lambda tx: registry.champion(tx, "flights")) == 2
    found = client.get_model_version_by_alias("flights", "champion")
    assert (found.version, found.aliases) == ("2", ["champion"])
    model = client.get_registered_model("flights")
    assert model.aliases == {"champion": "2", "shadow": "4"}
    client.delete_registered_model_alias("flights", "shadow")
    assert client.get_registered_model("flights").aliases == {"champion": "2"}


def test_the_champion_alias_cannot_be_taken_away(client: Any, versions: None) -> None:
    from mlflow.exceptions import RestException

    client.set_registered_model_alias("flights", "champion", "1")
    with pytest.raises(RestException, match="only moved"):
        client.delete_registered_model_alias("flights", "champion")


def test_versions_are_found_by_filters(client: Any, versions: None) -> None:
    found = client.search_model_versions("name='flights'")
    assert [one.version for one in found] == ["4", "3", "2", "1"]
    found = client.search_model_versions("name LIKE 'fli%' AND version_number > 2")
    assert [one.version for one in found] == ["4", "3"]
    assert client.search_model_versions("name ILIKE 'FLI%'", max_results=2).token
    assert list(client.search_model_versions("name='others'")) == []
    assert client.get_model_version("flights", "3").tags["mainspring.gate"] == "refused"


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "code"),
    [
        ("GET", "registered-models/get", {"name": "none"}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "registered-models/get", {}, 400, "INVALID_PARAMETER_VALUE"),
        (
            "GET",
            "registered-models/alias",
            {"name": "flights", "alias": "no"},
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        (
            "GET",
            "model-versions/get",
            {"name": "flights", "version": "9"},
            404,
            "RESOURCE_DOES_NOT_EXIST",
        ),
        (
            "GET",
            "model-versions/get",
            {"name": "flights", "version": "x"},
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        ("GET", "model-versions/search", {"filter": "stage='x'"}, 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "registered-models/search", {"page_token": "?"}, 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "registered-models/search", {"max_results": 0}, 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_what_is_not_there_is_told_in_mlflows_form(
    web: httpx.Client,
    versions: None,
    method: str,
    path: str,
    fields: dict[str, Any],
    status: int,
    code: str,
) -> None:
    found = web.request(method, path, params=fields)
    assert (found.status_code, found.json()["error_code"]) == (status, code)
    assert found.json()["message"]


@pytest.mark.parametrize("alias", ["v1", "latest", "a b", "../x"])
def test_reserved_aliases_are_refused(web: httpx.Client, versions: None, alias: str) -> None:
    told = {"name": "flights", "alias": alias, "version": "1"}
    found = web.post("registered-models/alias", json=told)
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
