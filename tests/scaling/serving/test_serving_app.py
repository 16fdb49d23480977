"""An endpoint over real HTTP: its protocols, its refusals, its swaps."""

import gzip
import threading

import httpx
import msgspec
import numpy as np
import pytest

from mainspring.ground.errors import UnauthenticatedError
from mainspring.ground.objects import Routing, Strategy
from mainspring.scaling.models import load
from mainspring.scaling.serving import capture
from waiting import until

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
NAMES = list(ROW)
CANARY = {"challenger": 2, "strategy": Strategy.CANARY, "share": 0.2, "rollout": "r1"}


def test_every_form_of_invocation_gives_the_same_scores(stage) -> None:
    one = stage()
    csv = "distance,hour,carrier,weekend\n731.0,18,B6,false\n"
    forms = [
        {"json": {"dataframe_records": [ROW]}},
        {"json": {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())]}}},
        {"json": {"instances": [ROW]}},
        {"json": {"instances": [list(ROW.values())]}},
        {"json": {"inputs": {name: [value] for name, value in ROW.items()}}},
        {"json": {"inputs": ROW}},
        {"content": csv, "headers": {"content-type": "text/csv"}},
        {
            "content": gzip.compress(msgspec.json.encode({"instances": [ROW]})),
            "headers": {"content-type": "application/json", "content-encoding": "gzip"},
        },
    ]
    answers = [one.client.post("/invocations", **form) for form in forms]
    assert [a.status_code for a in answers] == [200] * len(forms), [a.text for a in answers]
    found = [a.json() for a in answers]
    assert len({f["scores"][0] for f in found}) == 1
    assert found[0]["predictions"] == ["late"]
    assert found[0]["model_version"] == "flights/1"
    assert len({f["prediction_ids"][0] for f in found}) == len(forms)


def test_the_open_inference_protocol_is_spoken(stage) -> None:
    one = stage()
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/flights/ready", "/ping"):
        assert one.client.get(path).status_code == 200
    told = one.client.get("/v2/models/flights").json()
    assert {tensor["name"] for tensor in told["inputs"]} == set(NAMES)
    types = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "weekend": "BOOL"}
    inputs = [
        {"name": name, "shape": [2, 1], "datatype": types[name], "data": [[value], [value]]}
        for name, value in ROW.items()
    ]
    answer = one.client.post("/v2/models/flights/infer", json={"id": "q1", "inputs": inputs})
    found = answer.json()
    assert found["id"] == "q1"
    tensors = {tensor["name"]: tensor for tensor in found["outputs"]}
    assert tensors["prediction"]["data"] == ["late", "late"]
    assert tensors["scores"]["shape"] == [2, 1]
    assert len(set(tensors["prediction_id"]["data"])) == 2
    some = one.client.post(
        "/v2/models/flights/versions/1/infer",
        json={"inputs": inputs, "outputs": [{"name": "scores"}]},
    ).json()
    assert [tensor["name"] for tensor in some["outputs"]] == ["scores"]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"nonsense": 1}, "nonsense", "Unknown column"),
        ({"distance": "far"}, "distance", "row 0"),
        ({"distance": True}, "distance", "a number"),
        ({"hour": 1.5}, "hour", "a whole number"),
        ({"hour": 2**63}, "hour", "exactly"),
        ({"distance": 2**53 + 1}, "distance", "exactly"),
        ({"weekend": 1}, "weekend", "true or false"),
        ({"carrier": 7}, "carrier", "a text"),
        ({"carrier": ...}, "carrier", "missing"),
    ],
)
def test_a_wrong_value_is_named_with_its_column(stage, change, field, words) -> None:
    one = stage()
    row = {k: v for k, v in {**ROW, **change}.items() if v is not ...}
    answer = one.client.post("/invocations", json={"dataframe_records": [row]})
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"instances":' + b"[" * 100_000,
        b'{"instances": [{"distance": NaN}]}',
        b'{"instances": [{"distance": 1e999}]}',
        b'{"instances": [{"distance": Infinity}]}',
        b'{"instances": [], "inputs": []}',
        b'{"nothing": 1}',
        b"{}",
        b"",
        b"\xff\xfe",
        b'{"instances": [[1, 2]]}',
        b'{"instances": [[1], {"a": 1}]}',
        b'{"dataframe_split": {"columns": ["a", "a"], "data": []}}',
    ],
)
def test_a_body_that_cannot_be_read_is_a_400_and_nothing_else(stage, body) -> None:
    one = stage()
    headers = {"content-type": "application/json"}
    answer = one.client.post("/invocations", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "BAD_INPUT"
    assert one.client.post("/v2/models/flights/infer", content=body).status_code == 400


def test_an_endless_body_is_cut_off_at_the_budget(stage) -> None:
    one = stage()
    sent = 0

    def endless():
        nonlocal sent
        while sent < 200 * 2**20:
            sent += 65536
            yield b" " * 65536

    try:
        answer = one.client.post("/invocations", content=endless())
        assert answer.status_code == 413
    except httpx.HTTPError:  # the server closed the connection while we were still sending
        pass
    assert sent < 64 * 2**20
    bomb = gzip.compress(b" " * (50 * 2**20))
    answer = one.client.post("/invocations", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    announced = one.client.post("/invocations", content=b" " * (2 * 2**20))
    assert announced.status_code == 413


def test_other_types_paths_and_strangers_are_refused_by_their_code(stage) -> None:
    one = stage()
    post = one.client.post
    assert post("/invocations", content=b"x", headers={"content-type": "a/b"}).status_code == 415
    latin = {"content-type": "text/csv; charset=latin-1"}
    assert post("/invocations", content=b"x", headers=latin).status_code == 415
    assert one.client.get("/nowhere").status_code == 404
    assert one.client.get("/v2/models/other").status_code == 404
    assert one.client.get("/v2/models/flights/versions/9").status_code == 404
    assert one.client.get("/v2/models/flights/versions/²").status_code == 404

    def nobody(scope):
        raise UnauthenticatedError("Who are you?")

    two = stage(authenticate=nobody)
    assert two.client.post("/invocations", json={"instances": [ROW]}).status_code == 401
    assert two.client.get("/status").status_code == 401
    assert two.client.get("/ping").status_code == 200


def test_an_endpoint_without_a_champion_lives_and_is_not_ready(stage) -> None:
    nothing = Routing(endpoint="flights", model="flights", champion=None, champion_package=None)
    one = stage(routing=nothing)
    assert one.client.get("/v2/health/live").status_code == 200
    assert one.client.get("/v2/health/ready").status_code == 503
    assert one.client.post("/invocations", json={"instances": [ROW]}).status_code == 503
    assert one.client.get("/status").json()["ready"] is False


def test_no_request_fails_while_versions_are_switched_under_load(stage, first, second) -> None:
    one = stage()
    stop = threading.Event()
    failed: list[str] = []
    seen: list[str] = []

    def load_it() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{one.port}", timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/invocations", json={"instances": [ROW]})
                if answer.status_code == 200:
                    seen.append(answer.json()["model_version"])
                else:
                    failed.append(answer.text)

    threads = [threading.Thread(target=load_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        number, package = (2, second) if turn % 2 == 0 else (1, first)
        one.route(champion=number, champion_package=package)
        at, now = len(seen), f"flights/{number}"
        until(lambda at=at, now=now: failed or seen[at:].count(now) > 5)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(seen) == {"flights/1", "flights/2"}


def test_a_canary_answers_its_share_and_both_score_every_row(stage, second) -> None:
    one = stage()
    one.route(challenger_package=second, **CANARY)
    rows = [{**ROW, "distance": float(100 + n)} for n in range(2000)]
    answer = one.predict(rows)
    share = np.mean(np.array(answer["versions"]) == 2)
    assert 0.15 < share < 0.25
    one.captures.flush()
    kept = capture.read(one.folder)
    assert kept.height == 2000
    assert kept["_other_score"].null_count() == 0
    assert set(zip(kept["_version"], kept["_other_version"], strict=True)) == {(1, 2), (2, 1)}
    status = one.client.get("/status").json()
    assert status["versions"]["1"]["scored_rows"] == status["versions"]["2"]["scored_rows"] == 2000
    assert (status["champion"], status["challenger"], status["share"]) == (1, 2, 0.2)


def test_a_sticky_key_is_always_answered_by_the_same_version(stage, second) -> None:
    one = stage()
    one.route(challenger_package=second, **{**CANARY, "share": 0.5})
    seen = {}
    for user in range(40):
        for _ in range(3):
            headers = {"X-Mainspring-Sticky": f"user-{user}"}
            found = one.predict([ROW, ROW], **headers)["versions"]
            seen.setdefault(user, set()).update(found)
    assert all(len(versions) == 1 for versions in seen.values())
    assert {v for versions in seen.values() for v in versions} == {1, 2}


def test_a_shadow_scores_and_never_answers(stage, second) -> None:
    one = stage()
    one.route(
        challenger=2, challenger_package=second, strategy=Strategy.SHADOW, share=0.9, rollout="r"
    )
    assert set(one.predict([ROW] * 50)["versions"]) == {1}
    one.captures.flush()
    assert capture.read(one.folder)["_other_version"].to_list() == [2] * 50


def test_a_challenger_that_fails_never_fails_a_request(stage, first, objects) -> None:
    class Broken(load.Served):
        def score(self, rows):
            raise ZeroDivisionError("broken")

    def loader(digest: str) -> load.Served:
        served = load.load(first, objects)
        if digest != first:
            served.__class__ = Broken
        return served

    one = stage(loader=loader)
    one.route(challenger_package="broken", **{**CANARY, "share": 1.0})
    assert set(one.predict([ROW] * 10)["versions"]) == {1}
    status = one.client.get("/status").json()
    assert status["versions"]["2"]["errors"] == 1
    assert "broken" in status["trouble"]
    assert status["errors"] == 0


def test_a_version_that_cannot_be_loaded_leaves_the_one_before_it_serving(stage) -> None:
    one = stage()
    one.route(champion=2, champion_package="0" * 64)
    assert one.predict([ROW])["versions"] == [1]
    assert one.client.get("/status").json()["trouble"]


def test_event_time_comes_from_the_time_column_and_never_from_the_future(stage) -> None:
    one = stage()
    one.predict([{**ROW, "at": 1.4e9}, {**ROW, "at": "2014-05-13T16:53:20+00:00"}])
    one.captures.flush()
    assert capture.watermark(one.folder) == 1.4e9
    late = one.client.post("/invocations", json={"instances": [{**ROW, "at": 9e9}]})
    assert late.status_code == 400
    assert late.json()["field"] == "at"


def test_metrics_are_written_for_prometheus(stage) -> None:
    one = stage()
    one.predict([ROW, ROW])
    text = one.client.get("/metrics").text
    assert 'mainspring_rows_total{endpoint="flights",version="1",variant="champion"} 2' in text
    whose = 'endpoint="flights",version="1",variant="champion"'
    assert f"mainspring_latency_seconds_count{{{whose}}} 1" in text
    assert "mainspring_capture_dropped_rows_total" in text


def test_missing_values_are_taken_where_the_model_can_score_without_them(stage, second) -> None:
    one = stage()
    assert one.predict([{**ROW, "distance": None, "carrier": None}])["predictions"]
    one.route(champion=2, champion_package=second)
    answer = one.client.post("/invocations", json={"instances": [{**ROW, "hour": None}]})
    assert answer.status_code == 400
    assert answer.json()["field"] == "hour"
