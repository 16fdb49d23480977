"""Refusals in MLflow's form, whoever refuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mainspring.web.api import call
from mainspring.workspace.opening import Workspace

INVALID = "INVALID_PARAMETER_VALUE"


def told(answer: httpx.Response) -> tuple[int, str]:
    assert set(answer.json()) == {"error_code", "message"}
    return answer.status_code, answer.json()["error_code"]


def test_the_version_keeps_clients_from_asking_for_more(url: str) -> None:
    assert httpx.get(f"{url}/version", trust_env=False, timeout=60).text == "3.3.0"


def test_unknown_paths_and_methods_are_no_endpoints(web: httpx.Client) -> None:
    for answer in (web.get("nothing"), web.get("runs/create"), web.post("runs/get", json={})):
        assert told(answer) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    ["runs/log-model"],
)
def test_what_is_left_out_says_so(web: httpx.Client, path: str) -> None:
    assert told(web.post(path, json={})) == (501, "NOT_IMPLEMENTED")


def test_the_mirror_answers_alike(web: httpx.Client, url: str) -> None:
    path = "experiments/get?experiment_id=0"
    mirror = httpx.get(f"{url}/ajax-api/2.0/mlflow/{path}", trust_env=False, timeout=60)
    assert mirror.json() == web.get(path).json()


def test_a_missing_field_is_named(web: httpx.Client) -> None:
    answer = web.post("experiments/create", json={})
    assert told(answer) == (400, INVALID)
    assert "Missing value for required parameter 'name'" in answer.json()["message"]


def test_a_wrong_type_is_named(web: httpx.Client) -> None:
    answer = web.post("experiments/create", json={"name": 1})
    expected = "Invalid value 1 for parameter 'name' supplied:  Hint: Value was of type 'int'"
    assert told(answer) == (400, INVALID)
    assert expected in answer.json()["message"]


def test_a_body_must_be_json_and_bounded(web: httpx.Client) -> None:
    path = "experiments/create"
    assert told(web.post(path, content=b'{"name": "x"}')) == (400, INVALID)
    kind = {"content-type": "application/json"}
    assert told(web.post(path, content=b"{", headers=kind)) == (400, INVALID)
    assert told(web.post(path, content=b"[" * 99, headers=kind)) == (400, INVALID)
    assert told(web.post(path, content=b" " * 3_000_000, headers=kind)) == (413, INVALID)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/search", {"experiment_ids": ["0"], "max_results": 0}),
        ("runs/search", {"experiment_ids": ["0"], "max_results": 50_001}),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "garbage!"}),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "eyJvZmZzZXQiOi0xfQ=="}),
        ("runs/search", {"experiment_ids": "0", "order_by": ["a.b"]}),
        ("runs/search", {"experiment_ids": ["0"], "run_view_type": "SOME"}),
        ("runs/log-metric", {"key": "a", "value": "abc"}),
        ("runs/log-metric", {"key": "a", "value": 2**53 + 1}),
        ("runs/log-metric", {"key": "a", "value": 1, "step": 2**63}),
        ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 2**60}),
        ("runs/log-metric", {"key": "a//b", "value": 1}),
        ("runs/log-metric", {"key": "../a", "value": 1}),
        ("runs/log-metric", {"key": "/a", "value": 1}),
        ("runs/log-parameter", {"key": "a" * 251, "value": "x"}),
        ("runs/log-parameter", {"key": "a", "value": "x" * 6001}),
        ("runs/set-tag", {"key": "a", "value": "\x00"}),
        ("runs/log-batch", {"params": [{"key": "a", "value": "1"}] * 2}),
        ("runs/log-batch", {"tags": [{"key": "a", "value": "1"}] * 101}),
        ("runs/update", {"status": "DONE"}),
    ],
)
def test_what_cannot_be_kept_is_refused(
    web: httpx.Client, path: str, fields: dict[str, Any]
) -> None:
    made = web.post("runs/create", json={"experiment_id": "0"}).json()
    run = made["run"]["info"]["run_id"]
    assert told(web.post(path, json={"run_id": run, **fields})) == (400, INVALID)


def test_what_is_not_there_is_not_found(web: httpx.Client) -> None:
    for answer in (
        web.get("runs/get", params={"run_id": "none"}),
        web.get("experiments/get", params={"experiment_id": "77"}),
        web.get("experiments/get", params={"experiment_id": "x"}),
        web.get("experiments/get-by-name", params={"experiment_name": "none"}),
        web.get("metrics/get-history", params={"run_id": "none", "metric_key": "a"}),
        web.get("artifacts/list", params={"run_id": "none"}),
        web.post("runs/set-tag", json={"run_id": "none", "key": "a", "value": "b"}),
    ):
        assert told(answer) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_numbers_may_come_as_text(web: httpx.Client) -> None:
    asked = {"experiment_id": "0", "start_time": "1234567890123"}
    made = web.post("runs/create", json=asked).json()["run"]
    assert made["info"]["start_time"] == 1234567890123
    assert made["info"]["run_id"] == made["info"]["run_uuid"]
    told = {"run_id": made["info"]["run_id"], "key": "a", "value": "NaN", "step": "-3"}
    assert web.post("runs/log-metric", json={**told, "timestamp": "7"}).json() == {}
    asked = {"run_id": told["run_id"], "metric_key": "a"}
    history = web.get("metrics/get-history", params=asked).json()
    assert history == {"metrics": [{"key": "a", "value": "NaN", "timestamp": 7, "step": -3}]}


def test_a_history_is_paged(web: httpx.Client) -> None:
    run = web.post("runs/create", json={}).json()["run"]["info"]["run_id"]
    points = [{"key": "a", "value": n, "timestamp": n, "step": n} for n in range(5)]
    web.post("runs/log-batch", json={"run_id": run, "metrics": points})
    asked: dict[str, Any] = {"run_id": run, "metric_key": "a", "max_results": 2}
    seen = []
    while True:
        page = web.get("metrics/get-history", params=asked).json()
        seen += [point["step"] for point in page["metrics"]]
        if "next_page_token" not in page:
            break
        asked["page_token"] = page["next_page_token"]
    assert seen == [0, 1, 2, 3, 4]


def test_roles_hold_on_the_wire(web: httpx.Client, house: Workspace, versions: None) -> None:
    tokens = {
        role: call(house, "tokens.create", name=role, role=role)["token"]
        for role in ("viewer", "contributor")
    }
    # Whether there are tokens is believed for half a second.
    strange = {"authorization": "Bearer nobody"}
    assert told(web.get("experiments/search", headers=strange)) == (401, "UNAUTHENTICATED")
    viewer = {"authorization": f"Bearer {tokens['viewer']}"}
    assert web.get("experiments/search", headers=viewer).status_code == 200
    refused = web.post("runs/create", json={}, headers=viewer)
    assert told(refused) == (403, "PERMISSION_DENIED")
    contributor = {"authorization": f"Bearer {tokens['contributor']}"}
    assert web.post("runs/create", json={}, headers=contributor).status_code == 200
    asked = {"name": "flights", "alias": "champion", "version": "1"}
    refused = web.post("registered-models/alias", json=asked, headers=contributor)
    assert told(refused) == (403, "PERMISSION_DENIED")


def test_a_foreign_page_is_refused_in_the_same_form(web: httpx.Client) -> None:
    answer = web.get("experiments/search", headers={"origin": "http://evil.example"})
    assert told(answer) == (403, "PERMISSION_DENIED")
