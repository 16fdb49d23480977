"""The append API, over real HTTP: any form, once, durable when it has answered, or refused."""

from __future__ import annotations

import json
import threading

import httpx
import numpy as np
import pytest

from mainspring.scaling.serving import capture
from mainspring.workspace.catching_up import catch_up
from mainspring.workspace.opening import Workspace

BYTES = {"Content-Type": "application/octet-stream"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PATH = "/api/v1/monitor/fraud/predictions"
DAY = 86_400.0


def answered(count: int, seed: int, day: int = 0, shift: float = 0.0) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, count)
    at = (19_000 + day) * DAY + np.sort(rng.uniform(0, DAY - 1, count))
    return [
        {"id": f"o{seed}-{n}", "time": at[n], "x": x[n], "score": 1 / (1 + np.exp(-x[n]))}
        for n in range(count)
    ]


def lines(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


@pytest.fixture
def fraud(web: httpx.Client) -> httpx.Client:
    """A client of a home with a monitor named fraud, made over HTTP."""
    made = web.post(
        "/api/v1/monitors/fraud/baseline",
        params={"window": "1d", "label_delay": "0s", "kind": "binary"},
        content=lines(answered(600, 0)),
        headers=BYTES,
    )
    assert made.status_code == 200, made.text
    assert made.json()["inputs"] == ["x"]
    return web


def rows_of(house: Workspace) -> int:
    return capture.read(house.captures("fraud")).height


def test_rows_are_appended_in_every_form(fraud: httpx.Client, house: Workspace) -> None:
    table = "id,time,x,score\nc-1,1641600000,0.5,0.6\n"
    for number, (body, headers) in enumerate([
        (json.dumps(answered(3, 1)).encode(), {"Content-Type": "application/json"}),
        (json.dumps({"rows": answered(3, 2)}).encode(), {"Content-Type": "application/json"}),
        (lines(answered(3, 3)), NDJSON),
        (table.encode(), {"Content-Type": "text/csv; charset=utf-8"}),
    ]):  # fmt: skip
        answer = fraud.post(PATH, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == (1 if number == 3 else 3)
    assert rows_of(house) == 10


def test_a_batch_sent_again_after_its_answer_was_lost_doubles_nothing(
    fraud: httpx.Client, house: Workspace
) -> None:
    body = lines([{k: v for k, v in row.items() if k != "id"} for row in answered(50, 1)])

    def send() -> httpx.Response:
        return fraud.post(PATH, params={"batch": "b-17"}, content=body, headers=NDJSON)

    first, again = send().json(), send().json()
    assert (first["again"], again["again"]) == (False, True)
    assert again["rows"] == 50
    assert rows_of(house) == 50
    other = fraud.post(PATH, params={"batch": "b-17"}, content=body + b"\n" + body, headers=NDJSON)
    assert other.status_code == 409
    unnamed = fraud.post(PATH, content=body, headers=NDJSON)
    assert unnamed.json()["again"] is False, "without a name each request is a batch"
    assert rows_of(house) == 100


def test_clients_may_append_at_once(fraud: httpx.Client, house: Workspace) -> None:
    codes: list[int] = []

    def send(seed: int) -> None:
        body = lines(answered(20, seed))
        codes.append(fraud.post(PATH, content=body, headers=NDJSON).status_code)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [200] * 8
    assert rows_of(house) == 160


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b'{"x": 1, "score": 0.5}\n{"x": 1,\n', NDJSON, 400, "line 2"),
        (b'{"x": 1, "score": 0.5}\n{"x": 1, "score": 7}\n', NDJSON, 400, "line 2"),
        (b'{"x": 1}\n', NDJSON, 400, "looks like the prediction"),
        (b"[]", {"Content-Type": "application/json"}, 400, "no rows"),
        (b"", NDJSON, 400, "empty"),
        (b'{"x": 1, "score": 0.5}', {"Content-Type": "text/plain"}, 400, "bytes"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_is(
    fraud: httpx.Client, house: Workspace, body: bytes, headers: dict[str, str], status: int,
    told: str,
) -> None:  # fmt: skip
    answer = fraud.post(PATH, content=body, headers=headers)
    assert answer.status_code == status
    assert told in answer.json()["message"]
    assert rows_of(house) == 0


def test_what_is_served_here_takes_no_rows_and_what_is_fed_answers_none(
    fraud: httpx.Client,
) -> None:
    body = lines(answered(3, 1))
    served = fraud.post("/api/v1/monitor/flights/predictions", content=body, headers=NDJSON)
    assert served.status_code == 409
    unknown = fraud.post("/api/v1/monitor/none/predictions", content=body, headers=NDJSON)
    assert unknown.status_code == 404
    asked = fraud.post("/api/v1/endpoints/fraud/predict", json={"rows": [{"x": 1.0}]})
    assert asked.status_code == 409
    assert "answers elsewhere" in asked.json()["message"]
    passed = fraud.post("/endpoints/fraud/invocations", json={"dataframe_records": [{"x": 1.0}]})
    assert passed.status_code == 409
    board = fraud.get("/api/v1/endpoints/fraud").json()
    assert board["state"] == "fed"


def test_what_was_fed_is_judged_and_an_alarm_raised(fraud: httpx.Client, house: Workspace) -> None:
    for day, shift in ((0, 0.0), (1, 1.5), (2, 0.0)):
        rows = answered(400, day + 1, day, shift)
        assert fraud.post(PATH, content=lines(rows), headers=NDJSON).json()["late"] == 0
    catch_up(house, "fraud")
    windows = fraud.get("/api/v1/monitor/fraud/windows").json()
    assert [window["rows"] for window in windows] == [400, 400]
    raised = fraud.get("/api/v1/alarms", params={"endpoint": "fraud"}).json()
    assert {(one["kind"], one["subject"]) for one in raised} >= {("drift", "x")}
    again = fraud.post("/api/v1/monitor/fraud/judge", json={"window": windows[0]["id"]})
    assert again.json()["task"]
    missing = fraud.post("/api/v1/monitor/fraud/judge", json={"window": "fraud:1"})
    assert missing.status_code == 404


def test_a_monitor_is_listed_changed_and_removed(fraud: httpx.Client) -> None:
    [watch] = fraud.get("/api/v1/monitors").json()
    assert (watch["endpoint"], watch["kind"]) == ("fraud", "binary")
    changed = fraud.post("/api/v1/monitors", json={"name": "fraud", "window_rows": 500})
    assert changed.status_code == 200, changed.text
    [watch] = fraud.get("/api/v1/monitors").json()
    assert watch["monitor"]["window_rows"] == 500
    assert watch["monitor"]["label_delay_s"] == 0, "what was not said stays"
    assert fraud.post("/api/v1/monitors", json={"name": "new"}).status_code == 404
    assert fraud.delete("/api/v1/monitors/fraud").status_code == 200
    assert fraud.get("/api/v1/monitors").json() == []
