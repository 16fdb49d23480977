"""What an endpoint's processes leave and say: tallies, lines in the logs, an account of itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.logs import line_of
from mainspring.ground.monitors import Pair, Tally
from mainspring.workspace.opening import Workspace
from mainspring.workspace.processes import write_json
from serving_in_a_thread import listening

EVIL = "<img src=x onerror=window.owned=1>\"'{{ 7*7 }}"
MINUTE = 60.0
NAME = "flights"

STATUS: dict[str, Any] = {
    "name": NAME, "model": NAME, "ready": True, "champion": 5, "challenger": 6,
    "strategy": "canary", "share": 0.2, "requests": 900, "rows": 1800, "errors": 9,
    "in_flight": 3, "p50_ms": 0.8, "p95_ms": 2.5, "p99_ms": 4.1,
    "versions": {
        "5": {"requests": 880, "rows": 1440, "scored_rows": 1800, "errors": 1, "form": "onnx",
              "variant": "champion", "p50_ms": 0.2, "p95_ms": 0.5, "p99_ms": 0.9},
        "6": {"requests": 300, "rows": 360, "scored_rows": 1800, "errors": 7, "form": "sklearn",
              "variant": "challenger", "p50_ms": 0.7, "p95_ms": 1.9, "p99_ms": 3.0},
    },
    "batching": {
        "plans": [{"versions": [5, 6], "inline": False, "why": "0.9 ms a row alone", "batches": 40,
                   "call_ms": 0.8, "row_ms": 0.01, "worst_ms": 9.0, "most_rows": 12}],
        "lone": 70, "sizes": {"1": 30, "2 to 3": 10},
        "closed": {"nothing waited": 39, "row limit": 1}, "refused": {"full": 5, "lag": 0},
        "waits": {}, "cancelled": 0, "late": 0,
    },
    "worker": {"rss_mb": 91.5, "open": 4, "cpu": 0.25, "lag_ms": 1.5},
    "capture": {"written_rows": 1700, "dropped_rows": 100, "queued_rows": 4, "trouble": ""},
    "queue": {"running": 1, "waiting": 2, "refused": 5},
    "trouble": "",
}  # fmt: skip


def count(
    ws: Workspace, now: float, minutes: int = 50, endpoint: str = NAME, rollout: str = ""
) -> None:
    """Write the tallies of the minutes before ``now``: the challenger slower, and failing some."""
    folder = ws.captures(endpoint) / "tallies"
    folder.mkdir(parents=True, exist_ok=True)
    for ago in range(minutes):
        minute = now // MINUTE * MINUTE - ago * MINUTE
        found = [
            Tally(minute=minute, version=5, requests=60, refused=2, errors=1,
                  latencies={14: 50, 20: 6, 25: 1}),
            Tally(minute=minute, version=6, requests=60, errors=3, latencies={18: 40, 24: 17}),
        ]  # fmt: skip
        if rollout:
            pair = Pair(
                tried=60,
                failed=3,
                timed=57,
                slow=9,
                rows=120,
                agreed=114,
                moved=110,
                mine={18: 40, 24: 17},
                theirs={14: 50, 20: 7},
                shifts={0: 100, 2: 20},
            )
            found.append(Tally(minute=minute, version=6, rollout=rollout, pair=pair))
        with (folder / f"{int(minute // 86_400):08d}-abc.jsonl").open("ab") as file:
            file.writelines(msgspec.json.encode(one) + b"\n" for one in found)


def note(ws: Workspace, now: float) -> None:
    """Write what the endpoint's process noted of predictions that did not go well."""
    about = {"endpoint": NAME, "ms": 1874.25, "rows": 3, "version": "5", "variant": "champion"}
    lines = [
        ("info", "prediction", {**about, "status": 200, "request": "well", "prediction": "ab-7"}),
        ("warning", "slow prediction", {**about, "status": 200, "request": "slow-1",
                                        "prediction": "ab-10", "caller": EVIL}),
        ("info", "prediction refused", {"endpoint": NAME, "ms": 0.4, "status": 400,
                                        "request": "bad-1", "code": "BAD_INPUT", "field": EVIL}),
    ]  # fmt: skip
    folder = Path(ws.home) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"endpoint-{NAME}.jsonl").write_bytes(
        b"".join(line_of(now - 60 + n, *one[:1], f"endpoint-{NAME}", 9, *one[1:])
                 for n, one in enumerate(lines))
    )  # fmt: skip


@contextlib.contextmanager
def process(ws: Workspace, told: dict[str, Any], endpoint: str = NAME) -> Iterator[None]:
    """Be the endpoint's process: answer ``/status`` with what ``told`` says now."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        file = ws.home / "run" / "endpoints" / f"{endpoint}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        changes = [{"at": ws.clock.now() - 90, "before": 1, "after": 2, "why": EVIL}]
        told_of = {"name": endpoint, "port": server.server_port, "wanted": 2, "changes": changes}
        write_json(file, told_of)
        file.with_suffix(".d").mkdir(exist_ok=True)
        worker = {"pid": 4711, "port": server.server_port, "started": ws.clock.now() - 60}
        write_json(file.with_suffix(".d") / "4711.json", worker)
        try:
            yield
        finally:
            file.unlink()
