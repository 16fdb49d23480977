"""Workers of one endpoint as real processes: none, two, one killed, one fewer, none again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import PATIENT

from mainspring.ground.objects import EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import endpoints as views
from mainspring.workspace.views.shapes import EndpointBoard
from waiting import until

STAND_IN = Path(__file__).parents[1] / "cli" / "stand_in.py"
ROW = {"dataframe_records": [{"a": 0.5, "b": -0.5}]}


class Place:
    """A supervisor whose endpoint workers are real, and who plays the engine for it."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        Path(ws.settings.root).mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(STAND_IN), ws.settings.home, "0"],
            env={**os.environ, "REAL_ENDPOINTS": "1"},
            cwd=ws.settings.root,
            stdout=subprocess.DEVNULL,
        )

    def want(self, **options: Any) -> None:
        new = self.ws.home / "wanted.new"
        new.write_text(json.dumps([{"name": "tide", "place": "own", **options}]))
        new.replace(self.ws.home / "wanted")

    def board(self) -> EndpointBoard:
        return views.endpoint_board(self.ws, "tide")

    def with_workers(self, number: int) -> EndpointBoard:
        return until(lambda: len((b := self.board()).workers) == b.workers_wanted == number and b)

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0


@pytest.fixture
def place(served: Workspace) -> Iterator[Place]:
    options = EndpointOptions(limits=PATIENT)
    served.write(Permission.SERVE, lambda tx: endpoints.configure(tx, "tide", options))
    found = Place(served)
    try:
        yield found
    finally:
        found.end()


class Asking:
    """Clients that ask without a pause on connections that they keep."""

    def __init__(self, url: str, clients: int) -> None:
        self.answers: list[int] = []
        self.lost: list[str] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(clients)]
        for one in self._threads:
            one.start()

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while not self._done.is_set():
                try:
                    self.answers.append(client.post("/invocations", json=ROW).status_code)
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))
                self._done.wait(0.005)

    def end(self) -> None:
        self._done.set()
        for one in self._threads:
            one.join(60)


def test_workers_come_and_go_under_load_and_a_request_from_none_is_answered(place: Place) -> None:
    place.want(fewest=0, most=2, idle_s=600)
    idle = until(lambda: (b := place.board()).state == "idle" and b)
    assert (idle.workers, idle.workers_wanted) == ([], 0)
    first = httpx.post(f"{idle.url}/invocations", json=ROW, timeout=60, trust_env=False)
    assert first.status_code == 200, first.text
    assert place.with_workers(1).workers_changes[-1].why == "a request came"

    place.want(fewest=2, most=2)
    two = place.with_workers(2)
    assert two.url == idle.url
    asking = Asking(str(two.url), 4)
    try:
        until(lambda: all(one.requests for one in place.board().workers))
        os.kill(two.workers[0].pid, signal.SIGKILL)
        until(lambda: two.workers[0].pid not in {one.pid for one in place.board().workers})
        place.with_workers(2)
        # No more than what the one that died had in hand; a connection is never refused.
        assert len(asking.lost) <= 4
        assert not any("ConnectError" in one for one in asking.lost)

        lost = len(asking.lost)
        place.want(fewest=1, most=1)
        one = place.with_workers(1)
        at = len(asking.answers)
        until(lambda: len(asking.answers) > at + 20)
        assert len(asking.lost) == lost
    finally:
        asking.end()
    assert set(asking.answers) == {200}
    # What the worker that went had counted is counted still.
    board = place.board()
    assert board.serving["answers"]["200"] >= one.serving["answers"]["200"]
    assert board.serving["rows"] > board.workers[0].requests / 2
    families = {family.name: family for family in views.endpoint_metrics(place.ws)["tide"] or []}
    assert families["mainspring_workers"].lines == ['mainspring_workers{endpoint="tide"} 1']

    place.want(fewest=0, most=2, idle_s=0.5)
    until(lambda: place.board().state == "idle")
    again = httpx.post(f"{idle.url}/invocations", json=ROW, timeout=60, trust_env=False)
    assert again.status_code == 200
    assert "a request came" in {one.why for one in place.board().workers_changes[-2:]}
