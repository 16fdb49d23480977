"""A receiver of OpenLineage events, and a project whose runs are told to it."""

from __future__ import annotations

import gzip
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from mainspring.ground.objects import Run, RunStatus
from mainspring.workspace import crons
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace
from mainspring.workspace.openlineage import events as openlineage

PROJECT = """
import mainspring as ms

@ms.step
def load(n: int) -> list:
    return list(range(n))

@ms.step
def total(rows: list) -> int:
    if len(rows) == 13:
        raise ValueError("thirteen")
    return sum(rows)

@ms.pipeline
def add(n: int = 3) -> int:
    return total(load(n))
"""


class Receiver(HTTPServer):
    """Keeps the events that are posted to it; ``answer`` is the status it gives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.paths: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.answer = 201


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.headers.append({key.lower(): value for key, value in self.headers.items()})
        self.server.tokens.add(self.headers["Authorization"])
        self.server.paths.add(self.path)
        if self.server.answer < 300:
            self.server.events.append(json.loads(body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def work(ws: Workspace) -> None:
    engine = make_engine(ws, "test")
    while engine.step_once():
        pass
    assert not engine.troubles


def start(ws: Workspace, **params: Any) -> str:
    crons.put(ws, "hourly", "add", crons.Given(every_s=3600.0, overlap="allow"), params)
    made = crons.run_now(ws, "hourly")
    work(ws)
    found = crons.shown(ws, "hourly")[1]
    return next(one.run for one in found if one.past.fire_at == made.fire_at and one.run)


def an_event() -> dict[str, Any]:
    """Return an event of a run that no home has."""
    run = Run(id="own", experiment="e", name="own", status=RunStatus.FINISHED, started=1.0,
              ended=2.0, pipeline="p:own", params={"n": "3"})  # fmt: skip
    end = openlineage.ended(
        openlineage.Story(run=run, steps=[], reads=[], versions=[]), "mainspring"
    )
    assert end is not None
    return end


def told_of(event: dict[str, Any]) -> tuple[str, str]:
    return event["eventType"], event["job"]["name"]
