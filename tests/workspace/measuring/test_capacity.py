"""How much a version can answer: the load, the knee, and what is advised."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.limits import CapacityAsked
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence
from mainspring.readiness.measured import BatchStep, LoadStep
from mainspring.workspace import load_tests
from mainspring.workspace.measuring import hammer
from mainspring.workspace.measuring.capacity import advised
from mainspring.workspace.measuring.hammer import Hammer, request
from mainspring.workspace.opening import Workspace
from serving_in_a_thread import listening

Said = tuple[int, bytes]


@contextmanager
def server(answer: Callable[[int, bytes], Said | None]) -> Iterator[int]:
    """Serve answers by the number and the body of a request; None cuts the connection."""
    seen = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = answer(next(seen), body)
            if found is None:
                self.close_connection = True
                return
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(found[1])))
            self.end_headers()
            self.wfile.write(found[1])

        def log_message(self, *_: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as serving:
        serving.handle_error = lambda *_: None  # a client that has enough hangs up
        yield serving.server_port


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what is under way at the end of a step, however busy the machine is."""
    monkeypatch.setattr(hammer, "GRACE_S", 60.0)


BODIES = [request("/", json.dumps({"n": n}).encode(), "s") for n in range(3)]


def test_a_closed_load_asks_in_turn_and_counts_what_came() -> None:
    bodies: list[bytes] = []

    strange = {3: (503, b"{}"), 4: (500, b'{"why": 1}'), 5: None}

    def answer(number: int, body: bytes) -> Said | None:
        bodies.append(body)
        return strange.get(number, (200, b"{}"))

    for seconds in (0.2, 2.0, 20.0):  # as long as a busy machine needs for ten requests
        bodies.clear()
        with server(answer) as port:
            found = Hammer(port, BODIES).closed(2, seconds)
        if len(bodies) >= 10:
            break
    assert (found.refused, found.errors) == (1, 2)
    assert found.told.startswith(("500", "the connection was lost"))  # whichever came first
    assert len(found.good_ms) >= 3
    assert all(ms > 0 for ms in found.good_ms)
    assert set(bodies) == {b'{"n": 0}', b'{"n": 1}', b'{"n": 2}'}


def test_an_open_load_counts_the_wait_for_a_connection_too() -> None:
    turn = threading.Lock()

    def slow(number: int, body: bytes) -> Said:
        with turn:  # one at a time, for all
            threading.Event().wait(0.01)
        return 200, b"{}"

    with server(slow) as port:
        found = Hammer(port, BODIES).open(400.0, 2, 0.3, seed=1)
    # 400 a second are due and at most 100 can be: the last waited for about those before it.
    assert not found.errors
    assert max(found.good_ms) > 10 * min(found.good_ms)


def step(connections: int, rps: float, p99: float, rate: float | None = None, **more) -> LoadStep:
    return LoadStep(
        connections=connections, rate=rate, requests=100, refused=more.get("refused", 0),
        errors=0, rps=rps, p50_ms=p99 / 3, p95_ms=p99 / 2, p99_ms=p99, cpu_us=100.0,
    )  # fmt: skip


CLOSED = [step(1, 300, 4), step(2, 600, 4), step(4, 980, 5), step(8, 1000, 10), step(16, 990, 40)]
OPENED = [step(32, r, p, rate=r) for r, p in ((500.0, 5), (700.0, 9), (850.0, 30), (950.0, 90))]
BATCHES = [BatchStep(rows=n, ms=ms, rows_per_s=n) for n, ms in ((1, 3), (128, 9), (1024, 60))]


def test_the_knee_is_where_more_connections_bring_no_more_answers() -> None:
    found = advised(CLOSED, OPENED, BATCHES, CapacityAsked())
    assert (found.knee_connections, found.peak_rps, found.saturated_p99_ms) == (4, 1000, 10)
    assert (found.bears_rps, found.workers) == (700, None)  # seven tenths of the peak
    assert (found.in_flight, found.batch_rows) == (4.0, 128)


def test_workers_are_as_many_as_the_rate_needs_within_the_latency() -> None:
    found = advised(CLOSED, OPENED, BATCHES, CapacityAsked(rate=3000, p99_ms=50))
    assert (found.bears_rps, found.workers) == (850.0, 4)
    assert found.batch_rows == 128
    strict = advised(CLOSED, OPENED, BATCHES, CapacityAsked(rate=3000, p99_ms=1))
    assert (strict.bears_rps, strict.workers, strict.batch_rows) == (0.0, None, 1)


def test_a_version_is_asked_in_a_process_of_its_own_and_what_came_is_evidence(
    served: Workspace,
) -> None:
    asked = CapacityAsked(rate=10, connections=2, step_s=0.1)
    made = load_tests.capacity(served, "tide", 1, asked)
    assert made.passed, made.found
    assert (made.kind, made.subject, made.automatic) == ("load", "tide/1", False)
    found = made.detail["capacity"]
    assert [one["connections"] for one in found["closed"]] == [1, 2]
    assert len(found["opened"]) == 4
    assert found["batches"][0]["rows"] == 1
    assert found["form"] == "onnx"
    assert found["workers"] >= 1
    assert "requests a second at most" in made.found
    kept = served.read(Permission.READ, lambda tx: evidence.newest(tx, "load", "tide/1"))
    assert kept == made


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (CapacityAsked(rate=-1), "rate"),
        (CapacityAsked(p99_ms=0), "p99_ms"),
        (CapacityAsked(connections=1000), "connections"),
        (CapacityAsked(step_s=999), "step_s"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(
    served: Workspace, asked: CapacityAsked, field: str
) -> None:
    with pytest.raises(BadInputError, match=field):
        load_tests.capacity(served, "tide", 1, asked)
