"""The first hour of a stranger with a table: from init to a served, watched, explained model."""

from __future__ import annotations

import json
import re
import shlex
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from tests.acceptance.conftest import Stranger, begin, customers

from waiting import alive, files_below, until

ROW = {"usage": 1.5, "region": "north", "active": True}


def records(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataframe_records": list(rows)}


def doors(up: Stranger) -> list[str]:
    """Return the two addresses of invocations: the main port's and the endpoint's own."""
    return [
        f"{up.url}/endpoints/customers/invocations",
        f"{up.endpoint('customers')['url']}/invocations",
    ]


def test_the_project_trained_passed_its_gate_and_is_served(up: Stranger) -> None:
    def ready() -> Any:
        told = up.ask("status")
        ready = [p["ready"] for p in told["supervisor"]["processes"] if "ready" in p]
        return all(ready) and told["engine"] == "up" and told

    found = until(ready)  # a process answers before the supervisor has heard that it does
    assert [(e["name"], e["state"]) for e in found["endpoints"]] == [("customers", "up")]
    assert found["loops"][0]["champion"] == 1
    processes = {p["name"] for p in found["supervisor"]["processes"] if "ready" in p}
    assert processes == {"web", "engine", "endpoint-customers"}
    checks = up.ask("models", "customers/1")["gates"][0]["checks"]
    assert {c["name"] for c in checks if c["passed"]} >= {"metric auc", "latency", "card"}
    words = up.say("why", "customers@champion")
    for word in ("promotion", "gate", "data", "code", "run"):
        assert word in words


def test_the_strangers_own_rows_can_be_asked_about_and_labelled(
    up: Stranger, tmp_path: Path
) -> None:
    rows = customers().drop("id", "left").head(20)
    rows.write_csv(up.folder / "ask.csv")
    rows.write_parquet(up.folder / "ask.parquet")
    found = up.ask("predict", "customers", "--rows", "ask.csv")
    assert (
        found["predictions"]
        == up.ask("predict", "customers", "--rows", "ask.parquet")["predictions"]
    )
    assert set(found["predictions"]) <= {"yes", "no"}
    truth = pl.DataFrame({"id": found["prediction_ids"], "value": customers()["left"].head(20)})
    truth.write_csv(up.folder / "truth.csv")
    assert up.ask("label", "customers", "truth.csv")["labels"] == 20
    assert "Unknown column 'id'" in up.say(
        "predict", "customers", "--rows", "customers.csv", code=2
    )
    assert "has no column 'value'" in up.say(
        "label", "customers", "ask.csv", "--id", "region", code=2
    )


def test_what_is_captured_is_shown_beside_its_budget(up: Stranger) -> None:
    httpx.post(doors(up)[0], json=records(ROW))

    def taken() -> Any:
        told = (e["captures"] for e in up.ask("status")["endpoints"])
        return next((c for c in told if c["bytes"]), None)

    found = until(taken)  # an answer is not held up by its capture, which is written after it
    assert found["budget_bytes"] == 2**30
    assert found["dropped_rows"] == 0
    assert "of 1.0 GB" in up.say("status")
    dropped = 'mainspring_capture_dropped_rows{endpoint="customers"} 0'
    until(lambda: dropped in httpx.get(f"{up.url}/metrics").text)


def test_one_port_has_all_the_paths(up: Stranger) -> None:
    with httpx.Client(base_url=up.url) as client:
        until(lambda: client.get("/health").text == "OK")  # a busy engine may be late
        assert re.fullmatch(r"\d+\.\d+\.\d+", client.get("/version").text)
        assert "text/html" in client.get("/").headers["content-type"]
        until(lambda: client.get("/api/v1/status").json()["engine"] == "up")
        assert "mainspring_" in client.get("/metrics").text
        reply = client.post("/endpoints/customers/invocations", json=records(ROW))
        assert reply.json()["model_version"] == "customers/1"
        tensors = [
            {"name": "usage", "shape": [1], "datatype": "FP64", "data": [1.5]},
            {"name": "region", "shape": [1], "datatype": "BYTES", "data": ["north"]},
            {"name": "active", "shape": [1], "datatype": "BOOL", "data": [True]},
        ]
        reply = client.post("/v2/models/customers/infer", json={"inputs": tensors})
        assert reply.json()["model_version"] == "1", reply.text


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown feature": (records(ROW | {"usag": 1.0}), "usag"),
    "a missing feature": (records({"usage": 1.0, "active": True}), "region"),
    "a wrong type": (records(ROW | {"usage": "much"}), "usage"),
    "2^63": (records(ROW | {"usage": 2**63}), "9223372036854775808"),
    "no rows": (records(), "missing"),
    "a column twice": ({"dataframe_split": {"columns": ["usage"] * 2, "data": [[1, 2]]}}, "twice"),
}
RAW: dict[str, tuple[bytes, str]] = {
    "NaN": (b'{"dataframe_records":[{"usage":NaN}]}', "cannot be read"),
    "infinity": (b'{"dataframe_records":[{"usage":1e999}]}', "out of range"),
    "half a body": (b'{"dataframe_rec', "cannot be read"),
    "100,000 deep": (b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    "100,000 deep beside": (b'{"params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
}


@pytest.mark.parametrize("door", [0, 1], ids=["main port", "own port"])
def test_bad_rows_are_refused_by_name_and_nothing_is_lost(up: Stranger, door: int) -> None:
    url = doors(up)[door]
    for case, (body, told) in BAD.items():
        reply = httpx.post(url, json=body)
        assert reply.status_code == 400, case
        assert told in reply.json()["message"], case
    for case, (raw, told) in RAW.items():
        reply = httpx.post(url, content=raw, headers={"content-type": "application/json"})
        assert reply.status_code == 400, case
        assert told in reply.json()["message"], case
    assert httpx.post(url, json=records(ROW)).json()["predictions"] in (["yes"], ["no"])


def test_deep_json_to_the_api_is_refused(up: Stranger) -> None:
    raw = b'{"reason":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for path in ("/api/v1/loops/customers/pause", "/api/v1/endpoints/customers/predict"):
        reply = httpx.post(
            f"{up.url}{path}", content=raw, headers={"content-type": "application/json"}
        )
        assert (reply.status_code, reply.json()["error"]) == (400, "BAD_INPUT")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_of_a_gigabyte_is_cut_off_in_bounded_memory(up: Stranger, chunked: bool) -> None:
    def memory() -> dict[str, int]:
        found = {n: Path(f"/proc/{p}/status").read_text() for n, p in up.pids().items()}
        peak = {n: re.search(r"VmHWM:\s+(\d+) kB", text) for n, text in found.items()}
        return {name: int(match[1]) // 1024 for name, match in peak.items() if match}

    before = memory()
    for url in (*doors(up), f"{up.url}/api/v1/pipelines/run"):
        address = httpx.URL(url)
        status, sent_mb = _gigabyte(address.port or 0, address.path, chunked)
        assert status == 413, url
        assert sent_mb < 100, url
    grown = {name: peak - before[name] for name, peak in memory().items()}
    assert max(grown.values()) < 200, grown
    until(lambda: httpx.get(f"{up.url}/health").status_code == 200)


def _gigabyte(port: int, path: str, chunked: bool) -> tuple[int, int]:
    """Send a gigabyte as long as somebody listens; return the answer's status and MB sent."""
    piece = b"x" * 1_000_000
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    head += (
        "Transfer-Encoding: chunked\r\n\r\n" if chunked else "Content-Length: 1000000000\r\n\r\n"
    )
    piece = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 1000:
                connection.sendall(piece)
                sent += 1
        except OSError:
            pass  # cut off, as it should be; the answer is there to be read
        return int(connection.recv(100).split()[1]), sent


def test_only_a_version_that_passed_the_gate_becomes_champion(up: Stranger) -> None:
    project = up.folder / "project.py"
    kept = project.read_text()
    before = up.ask("models", "customers")["champion"]
    try:
        # By the loop's card and gate, now with a card that says nothing.
        project.write_text(kept.replace('limitations="Not reviewed yet."', 'limitations=""'))
        assert up.ask("loop", "declare")["customers"] >= 2
        detail = up.ask("run", "customers", "-p", "trees=5", "--register", "customers")
        (judged,) = detail["judged"]
        version = judged["version"]
        failed = {c["name"] for c in judged["gate"]["checks"] if not c["passed"]}
        assert "card" in failed
    finally:
        project.write_text(kept)
        up.say("loop", "declare")
    number = version.partition("/")[2]
    reply = httpx.post(
        f"{up.url}/api/v1/models/customers/versions/{number}/promote", json={"reason": "I want."}
    )
    assert (reply.status_code, reply.json()["error"]) == (409, "GATE_REFUSED")
    said = up.say("promote", version, "--reason", "I want.", code=1)
    hint = re.search(r"mainspring (models \S+?)\.?$", said, re.MULTILINE)
    assert hint
    assert "card" in up.say(*shlex.split(hint[1]))  # the command that the hint names is one
    assert up.ask("models", "customers")["champion"] == before


def test_every_change_is_a_line_of_the_audit_log_and_the_chain_is_whole(up: Stranger) -> None:
    up.say("loop", "pause", "customers", "--reason", "Maintenance.")
    up.say("loop", "resume", "customers", "--reason", "Over.")
    found = {row["action"] for row in up.ask("audit", "list")}
    assert found >= {"loop.declare", "version.register", "gate.pass", "alias.move", "loop.pause"}
    verdict = up.ask("audit", "verify")
    assert verdict["ok"]
    assert verdict["rows"] >= 5


def test_every_file_of_a_used_home_is_its_owners_alone(up: Stranger) -> None:
    httpx.post(doors(up)[1], json=records(ROW))
    up.say("doctor")
    seen = set()
    for path in [up.home, *files_below(up.home)]:
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except FileNotFoundError:  # a sealed segment, a temporary file
            continue
        seen.add(path.name)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} is {mode:o}"
    assert {"mainspring.db", "mainspring.db-wal", "mainspring.db-shm", "forkserver.log"} <= seen


def test_where_a_name_is_wrong_the_error_says_so_in_a_line(up: Stranger) -> None:
    for words in (
        ("predict", "nobody", "--rows", "[{}]"), ("monitor", "nobody"), ("show", "nobody"),
        ("models", "nobody"), ("why", "customers/99"), ("loop", "status", "nobody"),
        ("serve", "nobody"), ("rollback", "customers", "--reason", "x"),
        ("logs", "--process", "no"),
        ("cancel", "nobody"), ("resume", "nobody"), ("token", "revoke", "nobody"),
    ):  # fmt: skip
        # Whether an endpoint is away or never was, who asks it does not know.
        said = up.say(*words, code=1 if words[0] in ("predict", "rollback") else 2)
        assert said.startswith("error: "), words
        assert "Traceback" not in said
        assert len(said.splitlines()) <= 2


def test_a_failed_step_says_how_to_go_on_and_that_command_works(tmp_path: Path) -> None:
    stranger = begin(tmp_path)
    project = tmp_path / "project.py"
    whole = project.read_text()
    project.write_text(whole.replace("ms.log(**model.metrics)", "print(model.metrics['nothing'])"))
    said = stranger.say("run", "customers", code=1)
    assert "KeyError: 'nothing'" in said
    assert "in evaluate" in said
    assert "mainspring/" not in said.partition("evaluate failed")[2]  # the user's lines only
    assert re.search(r"Inputs: model=[0-9a-f]{12}", said)
    command = re.search(r"mainspring (resume \S+ --code now)", said)
    assert command
    project.write_text(whole)
    steps = stranger.ask(*shlex.split(command[1]))["steps"]
    assert {s["step"]: s["attempt"] for s in steps}["train"] == 1
    assert {s["step"]: s["state"] for s in steps}["evaluate"] == "done"
    assert json.loads(stranger.say("runs", "--json"))["runs"][0]["status"] == "finished"


def test_sigterm_leaves_no_process_and_the_home_comes_up_again(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)
    stranger.spawn("up", "--port", "0", "--detach")
    pids = stranger.pids()
    stranger.spawn("stop")
    until(lambda: not any(alive(pid) for pid in pids.values()))
    assert stranger.ask("stop") == {"stopped": False, "pid": None}
    assert "not up" in stranger.say("status", code=1)
