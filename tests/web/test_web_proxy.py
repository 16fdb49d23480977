"""Predictions pass through the main port to an endpoint's own process, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mainspring.cli.start import main
from mainspring.ground import errors as e
from mainspring.scaling.serving.batching import Batcher
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.processes import write_json
from serving_in_a_thread import served


class Endpoint:
    """Stands in for an endpoint's process: remembers what it was asked, answers as told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.answer: Any = {"predictions": [0.5], "prediction_ids": ["p1"]}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":  # a body that broke off is no request
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] != "/status":
            self.asked.append(
                {"path": scope["path"], "headers": dict(scope["headers"]), "body": body}
            )
        head = [(b"content-type", b"application/json"), (b"x-mine", b"yes")]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(self.answer).encode()})


@pytest.fixture
def endpoint(house: Workspace) -> Iterator[Endpoint]:
    """The process behind the endpoint ``flights``."""
    app = Endpoint()
    with served(app) as url:
        port = int(url.rpartition(":")[2])
        write_json(house.home / "run" / "endpoints" / "flights.json", {"port": port})
        yield app


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/endpoints/flights/invocations", "/invocations"),
        ("/v2/models/flights/infer", "/v2/models/flights/infer"),
        ("/v2/models/flights/versions/1/infer", "/v2/models/flights/versions/1/infer"),
    ],
)
def test_a_prediction_passes_through(
    web: httpx.Client, endpoint: Endpoint, path: str, there: str
) -> None:
    answer = web.post(path, content=b"\x00raw", headers={"Inference-Header-Content-Length": "3"})
    assert (answer.status_code, answer.json()) == (200, endpoint.answer)
    assert answer.headers["x-mine"] == "yes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    asked = endpoint.asked[0]
    assert (asked["path"], asked["body"]) == (there, b"\x00raw")
    assert asked["headers"][b"inference-header-content-length"] == b"3"


def test_a_refusal_of_the_endpoint_comes_back_as_it_is(
    web: httpx.Client, endpoint: Endpoint
) -> None:
    endpoint.status, endpoint.answer = 400, {"error": "no such column"}
    answer = web.post("/v2/models/flights/infer", json={})
    assert (answer.status_code, answer.json()) == (400, {"error": "no such column"})


def test_the_callers_token_is_shown_and_the_owners_secret_is_not(
    as_token: Callable[..., httpx.Client], endpoint: Endpoint
) -> None:
    viewer = as_token("viewer")
    headers = {
        "X-Mainspring-Secret": "s",
        "Cookie": "a=b",
        "Origin": str(viewer.base_url).rstrip("/"),
    }
    viewer.post("/endpoints/flights/invocations", headers=headers)
    there = endpoint.asked[0]["headers"]
    assert there[b"authorization"].decode() == viewer.headers["authorization"]
    assert not {b"cookie", b"x-mainspring-secret", b"origin"} & there.keys()
    viewer.post("/api/v1/endpoints/flights/predict", json={"rows": [{"distance": 1.0}]})
    there = endpoint.asked[1]["headers"]
    assert there[b"authorization"].decode() == viewer.headers["authorization"]


def test_the_operation_predicts_too(house: Workspace, endpoint: Endpoint) -> None:
    rows = [{"distance": 1.5}]
    assert call(house, "endpoints.predict", name="flights", rows=rows) == endpoint.answer
    assert endpoint.asked[0]["path"] == "/predict"
    assert json.loads(endpoint.asked[0]["body"]) == {"rows": rows}
    call(house, "endpoints.predict", name="flights", rows=rows, ids=["a"], version=1, explain=True)
    told = {"rows": rows, "ids": ["a"], "version": 1, "explain": True}
    assert json.loads(endpoint.asked[1]["body"]) == told
    endpoint.status, endpoint.answer = 400, {"error": "BAD_INPUT", "message": "No.", "field": "a"}
    with pytest.raises(e.BadInputError) as caught:
        call(house, "endpoints.predict", name="flights", rows=rows)
    assert caught.value.field == "a"


def test_the_board_shows_what_the_process_says(house: Workspace, endpoint: Endpoint) -> None:
    board = call(house, "endpoints.get", name="flights")
    assert (board["state"], board["serving"]) == ("up", endpoint.answer)
    endpoint.status = 401
    board = call(house, "endpoints.get", name="flights")
    assert (board["state"], board["serving"]) == ("up", {})


def test_it_is_said_how_an_endpoint_batches(
    house: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    batcher = Batcher(lambda jobs: None)
    batcher.sizes, batcher.closed["row limit"], batcher.lone = {1: 7, 4: 2}, 2, 5
    batcher.waits_s.add(0.004)
    plan = {"versions": [1], "inline": False, "why": "8.00 ms a row alone", "batches": 14}
    plan |= {"call_ms": 7.5, "row_ms": 0.5, "worst_ms": 11.0, "most_rows": 6}
    endpoint.answer = {
        "batching": {**batcher.as_dict(), "plans": [plan]},
        "queue": {**batcher.queue_now(), "refused": 3},
    }
    told = call(house, "endpoints.batching", name="flights")
    assert (told["sizes"], told["closed"]["row limit"]) == ({"1": 7, "4-7": 2}, 2)
    assert (told["plans"][0]["call_ms"], told["refused"], told["lone"]) == (7.5, 3, 5)
    assert told["wait_p50_ms"] > 0
    assert told["limits"]["batch_rows"] == 1024
    monkeypatch.setenv("COLUMNS", "160")
    assert main(("explain-batching", "flights", "--home", str(house.home))) == 0
    shown = capsys.readouterr().out
    for words in ("in threads", "8.00 ms a row alone", "4-7", "row limit", "0 of at most 256"):
        assert words in shown, shown
    endpoint.answer = {}
    with pytest.raises(e.UnavailableError):
        call(house, "endpoints.batching", name="flights")


def test_an_endpoint_that_is_down_is_unavailable(house: Workspace, web: httpx.Client) -> None:
    assert call(house, "endpoints.get", name="flights")["state"] == "down"
    for port in (None, 1):  # it has no process; its file is older than its death
        if port is not None:
            write_json(house.home / "run" / "endpoints" / "flights.json", {"port": port})
        answer = web.post("/endpoints/flights/invocations", json={})
        assert (answer.status_code, answer.json()["error"]) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        said = web.post("/v2/models/flights/infer", json={})
        assert said.status_code == 503
        assert list(said.json()) == ["error"]
    assert call(house, "endpoints.get", name="flights")["state"] == "down"


@pytest.mark.parametrize("name", ["none", "..%2f..%2fsecret", "a%00b", ".."])
def test_a_name_that_is_no_endpoint_is_refused(still_web: httpx.Client, name: str) -> None:
    answer = still_web.post(f"/v2/models/{name}/infer", json={})
    assert answer.status_code in (400, 404)


def test_a_body_above_the_budget_is_not_passed_on(web: httpx.Client, endpoint: Endpoint) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000_000

    answer = web.post("/endpoints/flights/invocations", content=pieces())
    assert answer.status_code == 413
    assert not endpoint.asked


def test_the_server_says_of_itself_what_the_protocol_asks(
    web: httpx.Client, endpoint: Endpoint
) -> None:
    assert web.get("/v2").json()["name"] == "mainspring"
    assert web.get("/v2/health/live").json() == {"live": True}
    assert web.get("/v2/health/ready").json() == {"ready": True}
    assert web.get("/v2/models/flights/ready").status_code == 200


def test_a_request_bears_one_id_through_both_processes(
    web: httpx.Client, endpoint: Endpoint
) -> None:
    for own in ("order-17", None, "not plain"):
        headers = {"traceparent": "00-1-2-01"} | ({} if own is None else {"X-Request-Id": own})
        answer = web.post("/endpoints/flights/invocations", json={}, headers=headers)
        [told] = answer.headers.get_list("x-request-id")
        assert endpoint.asked[-1]["headers"][b"x-request-id"].decode() == told
        assert endpoint.asked[-1]["headers"][b"traceparent"] == b"00-1-2-01"
        assert (told == own) is (own == "order-17")


def test_the_repository_lists_every_endpoint_with_its_state(
    web: httpx.Client, endpoint: Endpoint
) -> None:
    endpoint.answer = {"ready": True}
    listed = {"name": "flights", "version": "1", "state": "READY", "reason": ""}
    assert web.post("/v2/repository/index").json() == [listed]
    endpoint.answer = {"ready": False, "trouble": "the package is damaged"}
    listed = {**listed, "state": "UNAVAILABLE", "reason": "the package is damaged"}
    assert web.post("/v2/repository/index", content=b"{}").json() == [listed]
    assert web.post("/v2/repository/index", json={"ready": True}).json() == []
    refused = web.post("/v2/repository/index", json={"ready": "perhaps"})
    assert (refused.status_code, list(refused.json())) == (400, ["error"])


def test_what_the_caller_does_not_accept_is_not_asked_of_the_endpoint(
    web: httpx.Client, endpoint: Endpoint
) -> None:
    for header in ("accept", "accept-encoding", "user-agent"):
        web.headers.pop(header)
    web.post("/endpoints/flights/invocations", json={})
    asked = endpoint.asked[0]["headers"]
    assert not {b"accept", b"accept-encoding", b"user-agent"} & asked.keys()
