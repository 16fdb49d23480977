"""What an endpoint records of what it answers, and how that is changed while it serves."""

from __future__ import annotations

from mainspring.ground.objects import Strategy
from mainspring.ground.serving import EndpointOptions
from mainspring.scaling.serving import capture

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
CANARY = {"challenger": 2, "strategy": Strategy.CANARY, "share": 0.2, "rollout": "r1"}


def test_a_share_is_recorded_from_the_next_request_on(stage, second) -> None:
    one = stage()
    one.predict([ROW] * 20)
    one.route(options=EndpointOptions(capture_share=0.0))
    one.predict([ROW] * 20)
    one.captures.flush(60)
    told = one.client.get("/status").json()["capture"]
    assert (told["written_rows"], told["sampled_out_rows"], told["share"]) == (20, 20, 0.0)
    assert "mainspring_capture_sampled_out_rows_total" in one.client.get("/metrics").text
    one.route(**CANARY, challenger_package=second)
    one.predict([ROW] * 20)
    one.captures.flush(60)
    rows = capture.read(one.folder, about=True)
    assert rows.height == 40, "two versions are compared row by row: all of them are recorded"
    roles = rows.filter(rows["_other_version"].is_not_null())
    assert {*roles.select("_role", "_version").rows()} <= {("champion", 1), ("challenger", 2)}


def test_a_row_is_recorded_with_its_latency_and_the_clients_own_ids(stage) -> None:
    one = stage()
    one.predict([ROW], **{"X-Amzn-SageMaker-Inference-Id": "mine-7", "X-Request-Id": "r-1"})
    tensors = [
        {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
        for name, kind in (
            ("distance", "FP64"), ("hour", "INT64"), ("carrier", "BYTES"), ("weekend", "BOOL"),
        )
    ]  # fmt: skip
    asked = {"id": "oip-9", "inputs": tensors}
    assert one.client.post("/v2/models/flights/infer", json=asked).status_code == 200
    assert one.client.post("/v2/models/flights/infer", json=asked | {"id": "x" * 300}).is_success
    one.captures.flush(60)
    rows = capture.read(one.folder, about=True).sort("_received")
    assert rows["_inference"].to_list() == [None, "oip-9", None]
    assert (rows["_id"][0], rows["_request"][0]) == ("mine-7", "r-1")
    assert rows["_role"].to_list() == ["champion"] * 3
    assert (rows["_ms"] > 0).all()
