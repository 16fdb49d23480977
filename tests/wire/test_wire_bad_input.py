"""What a careless or ill-meaning client sends: refused by name, at little cost."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

INVALID = "INVALID_PARAMETER_VALUE"


@pytest.fixture
def run(web: httpx.Client) -> str:
    """A run to log to."""
    return str(web.post("runs/create", json={}).json()["run"]["info"]["run_id"])


def told(answer: httpx.Response) -> str:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert answer.json()["error_code"] in (
        INVALID,
        "RESOURCE_DOES_NOT_EXIST",
        "ENDPOINT_NOT_FOUND",
    )
    return str(answer.json()["message"])


def point(run: str, **more: Any) -> dict[str, Any]:
    return {"run_id": run, "key": "a", "value": 1, "timestamp": 1, "step": 1, **more}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", 2**63),
        ("step", -(2**63) - 1),
        ("step", "1.5"),
        ("step", 1e300),
        ("timestamp", 10**30),
        ("timestamp", -1),
        ("value", "abc"),
        ("value", [1]),
        ("value", True),
        ("value", None),
        ("key", "a\x00b"),
        ("key", "a\u200bb"),
        ("key", "a "),
        ("key", "../a"),
        ("key", ""),
        ("key", "k" * 251),
    ],
)
def test_a_metric_that_cannot_be_kept_is_refused_by_name(
    web: httpx.Client, run: str, field: str, value: Any
) -> None:
    message = told(web.post("runs/log-metric", json=point(run, **{field: value})))
    assert field in message or (field == "key" and "name" in message)
    batch = {"run_id": run, "metrics": [point(run), point(run, **{field: value})]}
    told(web.post("runs/log-batch", json=batch))
    assert web.get("runs/get", params={"run_id": run}).json()["run"]["data"].get("metrics") is None


def test_what_json_has_no_number_for_is_refused_or_exact(web: httpx.Client, run: str) -> None:
    head = {"content-type": "application/json"}
    for value, wanted in (("1e400", None), ("-1e400", None), ("NaN", None), ("1e308", 1e308)):
        body = json.dumps(point(run, key="v")).replace('"value": 1', f'"value": {value}')
        answer = web.post("runs/log-metric", content=body, headers=head)
        assert (answer.status_code == 200) == (wanted is not None), (value, answer.text)
    found = web.get("runs/get", params={"run_id": run}).json()["run"]["data"]["metrics"]
    assert [one["value"] for one in found] == [1e308]


def test_half_of_a_pair_is_refused_and_whole_ones_come_back(web: httpx.Client, run: str) -> None:
    head = {"content-type": "application/json"}
    for half in ("\\ud800", "\\udc00"):
        body = f'{{"run_id": "{run}", "key": "a", "value": "{half}"}}'
        for path in ("runs/set-tag", "runs/log-parameter"):
            told(web.post(path, content=body, headers=head))
    web.post("runs/set-tag", json={"run_id": run, "key": "a", "value": "\U0001f600"})
    tags = web.get("runs/get", params={"run_id": run}).json()["run"]["data"]["tags"]
    assert {"key": "a", "value": "\U0001f600"} in tags


@pytest.mark.parametrize(
    "name",
    ["a\u200b", "a ", " a", "a\u00a0", "a\x00", "a\u202eb", "\u200b", " ", "a\nb", "x" * 501],
)
def test_names_that_look_like_others_are_refused(web: httpx.Client, run: str, name: str) -> None:
    told(web.post("experiments/create", json={"name": name}))
    told(web.post("runs/create", json={"run_name": name}))
    told(web.post("runs/update", json={"run_id": run, "run_name": name}))
    told(web.post("runs/set-tag", json={"run_id": run, "key": "mlflow.runName", "value": name}))


def test_two_ways_to_write_a_name_are_one_name(web: httpx.Client) -> None:
    web.post("experiments/create", json={"name": "caf\u00e9"})
    again = web.post("experiments/create", json={"name": "cafe\u0301"})
    assert again.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    asked = {"experiment_name": "cafe\u0301"}
    found = web.get("experiments/get-by-name", params=asked).json()
    assert found["experiment"]["name"] == "caf\u00e9"


def test_dots_and_slashes_in_a_name_are_only_a_name(web: httpx.Client) -> None:
    for name in ("..", "../../etc", "a/b", "%2e%2e%2f", "a#b"):
        made = web.post("experiments/create", json={"name": name}).json()["experiment_id"]
        again = web.post("experiments/create", json={"name": name})
        assert again.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
        found = web.get("experiments/get", params={"experiment_id": made}).json()
        assert found["experiment"]["name"] == name
        assert found["experiment"]["artifact_location"] == f"mlflow-artifacts:/{made}"


@pytest.mark.parametrize(
    "location",
    ["file:///etc", "s3://bucket/x", "/tmp/x", "mlflow-artifacts:/../1", "http://h/x#f"],
)
def test_an_experiment_keeps_its_files_here(web: httpx.Client, location: str) -> None:
    asked = {"name": "elsewhere", "artifact_location": location}
    assert "artifact_location" in told(web.post("experiments/create", json=asked))


@pytest.mark.parametrize(
    "path", ["a%252e%252e/b", "%2e%2e/%2e%2e/x", "a%00", "a%0ab", "a%5c..%5cb"]
)
def test_paths_of_files_lead_nowhere_else(url: str, run: str, path: str) -> None:
    base = f"{url}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts"
    told(httpx.put(f"{base}/{path}", content=b"x", trust_env=False, timeout=60))
    asked = {"run_id": run, "path": httpx.URL(f"http://h/?p={path}").params["p"]}
    told(
        httpx.get(
            f"{url}/api/2.0/mlflow/artifacts/list", params=asked, trust_env=False, timeout=60
        )
    )
    told(httpx.get(f"{url}/get-artifact", params=asked, trust_env=False, timeout=60))


def test_what_is_packed_is_not_unpacked(url: str, web: httpx.Client, run: str) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    head = {"content-type": "application/json", "content-encoding": "gzip"}
    assert "compressed" in told(web.post("runs/log-batch", content=bomb, headers=head))
    base = f"{url}/api/2.0/mlflow-artifacts"
    where = f"0/{run}/artifacts"
    for method, path in (
        ("PUT", f"artifacts/{where}/a"),
        ("POST", f"mpu/create/{where}"),
    ):
        answer = httpx.request(
            method, f"{base}/{path}", content=bomb, headers=head, trust_env=False, timeout=60
        )
        assert "compressed" in told(answer)


def test_a_batch_is_bounded(web: httpx.Client, run: str) -> None:
    many = [point(run, step=n) for n in range(1001)]
    assert "at most 1000 metrics" in told(
        web.post("runs/log-batch", json={"run_id": run, "metrics": many})
    )
    params = [{"key": f"p{n}", "value": "x" * 6000} for n in range(100)]
    tags = [{"key": f"t{n}", "value": "x" * 7000} for n in range(100)]
    assert "at most 1000000 bytes" in told(
        web.post("runs/log-batch", json={"run_id": run, "params": params, "tags": tags})
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A home served by a process of its own, with the bounds that it has by default."""
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from mainspring.ground.settings import load\n"
        "from mainspring.web.app import build_app\n"
        "from mainspring.web.server import bind, serve\n"
        "from mainspring.workspace.opening import open_workspace\n"
        "ws = open_workspace(load({}, start=Path(sys.argv[1]), environ={}))\n"
        "at = bind('127.0.0.1', 0)\n"
        "told = lambda: print(at.getsockname()[1], flush=True)\n"
        "serve(build_app(ws), at, told, threading.Event())\n"
    )
    (tmp_path / "mainspring.toml").write_text("")
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        process.terminate()


def test_large_bodies_cost_no_memory(served: tuple[str, psutil.Process]) -> None:
    url, process = served
    head = {"content-type": "application/json"}
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", trust_env=False, timeout=60) as web:
        run = web.post("runs/create", json={}).json()["run"]["info"]["run_id"]
        before = process.memory_info().rss
        body = b'{"run_id": "' + b"x" * (64 << 20) + b'"}'
        for _ in range(3):
            answer = web.post("runs/log-batch", content=body, headers=head)
            assert answer.status_code == 413, answer.text
        deep = b'{"a":' * 2_000_000
        assert 400 <= web.post("runs/log-batch", content=deep, headers=head).status_code < 500
        numbers = b'{"run_id": "r", "metrics": [' + b"1," * 4_000_000 + b"1]}"
        assert 400 <= web.post("runs/log-batch", content=numbers, headers=head).status_code < 500
        base = f"{url}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts"

        def large() -> Iterator[bytes]:
            for _ in range(64):
                yield b"x" * (1 << 20)

        assert httpx.put(f"{base}/large", content=large(), trust_env=False, timeout=60).is_success
        with httpx.stream("GET", f"{base}/large", trust_env=False, timeout=60) as answer:
            assert sum(len(part) for part in answer.iter_bytes()) == 64 << 20
    grown = process.memory_info().rss - before
    assert grown < 100 << 20, f"{grown >> 20} MB more"
