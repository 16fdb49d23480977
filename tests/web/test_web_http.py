"""The main port over real HTTP on loopback: who is let in, what is refused, what stays bounded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mainspring.web.api import call, every
from mainspring.workspace.access import read_secret
from mainspring.workspace.opening import Workspace
from mainspring.workspace.processes import write_json

Clients = Callable[..., httpx.Client]
ASK = """
import encodings.idna, os, sys, urllib.request, urllib.error
os.setuid(65534)
request = urllib.request.Request(sys.argv[1], headers=dict(a.split("=", 1) for a in sys.argv[2:]))
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    print(opener.open(request, timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def as_nobody(url: str, *headers: str) -> str:
    """Ask as another user of this machine and return the status."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    command = [sys.executable, "-I", "-c", ASK, url, *headers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------- who


def test_the_owner_is_known_by_uid(still_web: httpx.Client) -> None:
    assert still_web.get("/api/v1/runs").status_code == 200


def test_another_user_of_the_machine_is_refused(url: str) -> None:
    assert as_nobody(f"{url}/api/v1/runs") == "401"


def test_another_user_who_claims_to_be_forwarded_is_refused(url: str) -> None:
    assert as_nobody(f"{url}/api/v1/runs", "X-Forwarded-For=127.0.0.1") == "401"


def test_another_user_with_the_owners_secret_is_let_in(house: Workspace, url: str) -> None:
    secret = f"X-Mainspring-Secret={read_secret(house.home)}"
    assert as_nobody(f"{url}/api/v1/runs", secret) == "200"


def test_every_path_but_the_open_ones_asks_who_is_there(url: str, as_token: Clients) -> None:
    as_token("admin")
    with httpx.Client(base_url=url, trust_env=False) as stranger:
        for one in every().values():
            path = one.path.replace("{", "").replace("}", "")
            if one.by == "callback":  # whoever holds a token that a run gave away needs no other
                answer = stranger.request(one.method, path, json={"token": "cb_guessed"})
                assert answer.status_code == 404, path
                continue
            assert stranger.request(one.method, path).status_code == 401, path
        for path in ("/metrics", "/v2", "/v2/models/flights", "/none", "/api/v1/openapi.json"):
            answer = stranger.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert stranger.post("/endpoints/flights/invocations").status_code == 401
        assert stranger.get("/version").text == "3.3.0"
        assert stranger.get("/health").status_code == 503  # no engine is up in this test


def wait_until_refused(client: httpx.Client, *, within_s: float) -> None:
    """Ask until it is 401; what is asked after that time must be, however slow an answer is."""
    end = time.monotonic() + within_s
    while True:
        late = time.monotonic() > end
        if client.get("/api/v1/runs").status_code == 401:
            return
        assert not late


def test_after_the_first_token_the_owner_needs_one_too(
    web: httpx.Client, as_token: Clients
) -> None:
    assert as_token("admin").get("/api/v1/runs").status_code == 200
    wait_until_refused(web, within_s=1)


def test_a_viewer_may_look_and_not_write(as_token: Clients) -> None:
    viewer = as_token("viewer")
    assert viewer.get("/api/v1/loops/flights").status_code == 200
    answer = viewer.post("/api/v1/loops/flights/pause", json={"reason": "x"})
    assert answer.status_code == 403
    assert answer.json()["error"] == "PERMISSION_DENIED"
    assert viewer.get("/api/v1/audit").status_code == 403


def test_a_contributor_may_pause_and_not_promote(as_token: Clients) -> None:
    someone = as_token("contributor")
    path = "/api/v1/models/flights/versions/2/promote"
    assert someone.post("/api/v1/loops/flights/pause", json={"reason": "x"}).status_code == 200
    assert someone.post(path, json={"reason": "x"}).status_code == 403
    assert as_token("approver").post(path, json={"reason": "x"}).status_code == 200


def test_a_refused_permission_is_told_before_the_body_is_read(as_token: Clients, url: str) -> None:
    token = as_token("viewer").headers["authorization"]
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=120) as line:
        head = f"POST /api/v1/loops HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n"
        line.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 403")


def test_a_revoked_token_is_refused_within_a_second(house: Workspace, as_token: Clients) -> None:
    viewer = as_token("viewer")
    assert viewer.get("/api/v1/runs").status_code == 200
    call(house, "tokens.revoke", name="viewer")
    wait_until_refused(viewer, within_s=1)


def test_an_expired_token_is_refused(as_token: Clients) -> None:
    wait_until_refused(as_token("viewer", ttl_s=0.3), within_s=2)


def test_a_browser_shows_its_token_in_a_cookie(url: str, as_token: Clients) -> None:
    token = as_token("viewer").headers["authorization"].removeprefix("Bearer ")
    cookies = {"mainspring_token": token}
    with httpx.Client(base_url=url, cookies=cookies, trust_env=False) as browser:
        assert browser.get("/api/v1/runs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example:8750"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/runs", "/health", "/version", "/v2"])
def test_a_foreign_host_or_page_is_refused(
    still_web: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert still_web.get(path, headers=headers).status_code == 403


# ---------------------------------------------------------------- what


def test_an_answer_is_the_same_in_process_and_over_http(
    house: Workspace, web: httpx.Client
) -> None:
    for name, fields in (
        ("runs.get", {"run": "run_1"}),
        ("models.get", {"model": "flights"}),
        ("decisions.list", {"limit": 2}),
        ("alarms.list", {"open": True}),
        ("models.version", {"model": "flights", "number": 1}),
    ):
        one = every()[name]
        path, query, _ = one.split(fields)
        assert web.get(path, params=query).json() == call(house, name, **fields)


def test_a_post_takes_json_and_tells_who_did_it(web: httpx.Client) -> None:
    answer = web.post("/api/v1/loops/flights/pause", json={"reason": "Rest."})
    assert (answer.status_code, answer.json()) == (200, {"done": True})
    newest = web.get("/api/v1/audit", params={"limit": 1}).json()[0]
    assert (newest["action"], newest["reason"], newest["who"]) == ("loop.pause", "Rest.", "owner")


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "field"),
    [
        ("GET", "/api/v1/runs?limt=3", {}, 400, "limt"),
        ("GET", "/api/v1/runs?limit=x", {}, 400, "limit"),
        ("GET", "/api/v1/runs?limit=0", {}, 400, "limit"),
        ("GET", "/api/v1/runs?limit=99999999999999999999", {}, 400, "limit"),
        ("GET", "/api/v1/runs?limit=1&limit=2", {}, 400, "limit"),
        ("GET", "/api/v1/runs?status=odd", {}, 400, "status"),
        ("GET", "/api/v1/runs?cursor=odd", {}, 400, "cursor"),
        ("GET", "/api/v1/runs/run_9", {}, 404, "run"),
        ("GET", "/api/v1/models/flights/versions/0", {}, 400, "number"),
        ("GET", "/api/v1/models/flights/versions/x", {}, 400, "number"),
        ("GET", "/api/v1/models/flights/versions/9", {}, 404, None),
        ("GET", "/nothing", {}, 404, None),
        ("PUT", "/api/v1/runs", {}, 405, None),
        ("POST", "/api/v1/loops/flights/pause", {"json": {}}, 400, "reason"),
        ("POST", "/api/v1/loops/flights/pause", {"json": {"reason": "x", "a": 1}}, 400, "a"),
        ("POST", "/api/v1/loops/flights/pause", {"json": {"reason": 1}}, 400, "reason"),
        ("POST", "/api/v1/loops/flights/pause", {"json": {"reason": "\0"}}, 400, "reason"),
        (
            "POST",
            "/api/v1/loops/flights/pause",
            {"json": {"name": "b", "reason": "x"}},
            400,
            "name",
        ),
        ("POST", "/api/v1/loops/flights/pause?reason=x", {"json": {}}, 400, "reason"),
        (
            "POST",
            "/api/v1/loops/flights/pause",
            {"content": b'{"reason":"x"}'},
            400,
            "Content-Type",
        ),
        ("POST", "/api/v1/loops/none/pause", {"json": {"reason": "x"}}, 404, "loop"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    still_web: httpx.Client,
    method: str,
    path: str,
    kwargs: dict[str, object],
    status: int,
    field: str,
) -> None:
    answer = still_web.request(method, path, **kwargs)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert answer.json()["message"].endswith(".")


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "1e999", str(2**63), str(-(2**63) - 1), '"\\ud800"', '"\\u0000"']
)
def test_a_value_that_cannot_be_kept_exactly_is_refused(
    still_web: httpx.Client, text: str
) -> None:
    body = f'{{"ids": ["p"], "values": [{text}]}}'.encode()
    headers = {"Content-Type": "application/json"}
    answer = still_web.post("/api/v1/endpoints/flights/labels", content=body, headers=headers)
    assert answer.status_code == 400


def test_the_largest_whole_number_is_kept(web: httpx.Client) -> None:
    body = {"ids": ["p", "q"], "values": [2**63 - 1, -(2**63)]}
    assert web.post("/api/v1/endpoints/flights/labels", json=body).status_code == 200


def test_a_hundred_thousand_levels_are_refused_at_once(still_web: httpx.Client) -> None:
    body = b'{"reason":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    headers = {"Content-Type": "application/json"}
    began = time.process_time()  # the server is a thread of this process
    answer = still_web.post("/api/v1/loops/flights/pause", content=body, headers=headers)
    assert answer.status_code == 400
    assert "deeper than 64" in answer.json()["message"]
    assert time.process_time() - began < 2


def test_every_answer_carries_the_headers_of_safety(still_web: httpx.Client) -> None:
    for path in ("/api/v1/runs", "/nothing", "/health", "/metrics"):
        headers = still_web.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-request-id"]
        assert "server" not in headers


def test_an_unexpected_error_tells_nothing_but_a_number(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mainspring.workspace.views import searching

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret is Rumpelstiltskin")

    monkeypatch.setattr(searching, "run_page", broken)
    answer = web.get("/api/v1/runs")
    assert answer.status_code == 500
    assert "secret" not in answer.text  # no digits: the number of the incident is a random one
    assert answer.json()["incident"] in caplog.text
    assert "the secret is Rumpelstiltskin" in caplog.text


def test_the_description_is_served(still_web: httpx.Client) -> None:
    assert still_web.get("/api/v1/openapi.json").json()["openapi"] == "3.1.0"


def test_a_picture_is_served_as_one(still_web: httpx.Client) -> None:
    answer = still_web.get("/api/v1/runs/run_1/graph")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<svg")


def test_prometheus_reads_what_is_counted(web: httpx.Client) -> None:
    web.get("/api/v1/runs")
    text = web.get("/metrics").text
    assert 'mainspring_http_requests_total{route="/api/v1/runs",method="GET",status="200"}' in text
    assert 'mainspring_loop_champion{loop="flights",model="flights"}' in text
    assert 'mainspring_alarms_open{endpoint="flights"} 1' in text


def test_health_follows_the_engine(house: Workspace, web: httpx.Client) -> None:
    assert web.get("/health").status_code == 503
    file = house.home / "run" / "engine.json"
    soon = house.clock.now() + 600  # a beat is late after three seconds, and the machine is busy
    write_json(file, {"pid": 1, "at": soon, "troubles": {}})
    healthy = web.get("/health")
    assert (healthy.status_code, healthy.text) == (200, "OK")
    write_json(file, {"pid": 1, "at": house.clock.now() - 10, "troubles": {}})
    assert web.get("/health").status_code == 503


# ---------------------------------------------------------------- how much


MAIN = """
import socket, sys, threading
from mainspring.ground.settings import load
from mainspring.web.app import build_app
from mainspring.web.server import bind, serve
from mainspring.workspace.opening import open_workspace
ws = open_workspace(load({"home": sys.argv[1], "max_body_mb": 2}, environ={}))
listening = bind("127.0.0.1", 0)
port = listening.getsockname()[1]
serve(build_app(ws), listening, lambda: print(port, flush=True), threading.Event())
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: (pid, port)."""
    command = [sys.executable, "-c", MAIN, str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield child.pid, int(child.stdout.readline())
        child.kill()


def peak_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("path", ["/api/v1/loops", "/endpoints/flights/invocations"])
def test_a_gigabyte_is_refused_in_little_memory(process: tuple[int, int], path: str) -> None:
    pid, port = process
    before = peak_mb(pid)
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as line:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(1024):
                line.sendall(piece)
        except OSError:
            pass  # the server hung up
        try:
            answer = line.recv(4096)
        except ConnectionResetError:
            answer = b""
    if path.startswith("/api"):
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert peak_mb(pid) - before < 30
    fine = httpx.get(f"http://127.0.0.1:{port}/api/v1/runs", trust_env=False)
    assert fine.status_code == 200


def test_a_body_just_above_the_budget_is_413(still_web: httpx.Client) -> None:
    body = {"reason": "x" * (2 * 1024 * 1024)}
    answer = still_web.post("/api/v1/loops/flights/pause", json=body)
    assert answer.status_code == 413
    assert "max_body_mb" in answer.json()["hint"]
