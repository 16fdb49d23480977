"""A run on a server, followed from elsewhere: slowly, by whom, past its death, and left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli import displays
from mainspring.cli.remote import Remote
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace import tokens
from mainspring.workspace.opening import open_workspace
from waiting import until

SERVE = """
import sys, threading
from mainspring.ground.settings import Settings
from mainspring.web.app import build_app
from mainspring.web.server import bind, serve
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import open_workspace

# No lease runs out because the machine is busy: who comes after a dead engine sees that it is.
ws = open_workspace(Settings(root=sys.argv[1], home=sys.argv[2], capture=False, lease_s=3600))
threading.Thread(target=make_engine(ws, "engine").run, args=(threading.Event(),)).start()
listening = bind("127.0.0.1", 0)
ready = lambda: print(listening.getsockname()[1], flush=True)
serve(build_app(ws), listening, ready, threading.Event())
"""
PROJECT = """
import time
from pathlib import Path

import mainspring as ms


@ms.step
def load(gate: str) -> str:
    print("waits at the gate")
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.02)
    print("is through")
    return gate


@ms.step
def fit(gate: str) -> int:
    raise ValueError("nothing to learn from")


@ms.pipeline
def held(gate: str):
    return load(gate)


@ms.pipeline
def outer(gate: str):
    return ms.run_pipeline(held, gate=gate)


@ms.pipeline
def training(gate: str):
    return fit(gate)


@ms.pipeline
def broken(gate: str):
    return ms.run_pipeline(training, gate=gate)
"""


class Link:
    """A way to a server that stays where it is: it may be slow, and lead nowhere."""

    def __init__(self) -> None:
        self.server: int | None = None  # the port that it leads to now
        self.slow_s = 0.0  # for each part of an answer
        self.refused = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._lead, args=(near,), daemon=True).start()

    def _lead(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.server or 0))
        except OSError:
            self.refused += 1
            near.close()
            return
        threading.Thread(target=_pass, args=(near, far, lambda: 0.0), daemon=True).start()
        _pass(far, near, lambda: self.slow_s)

    def close(self) -> None:
        self._listening.close()


def _pass(source: socket.socket, target: socket.socket, slow_s: Callable[[], float]) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            time.sleep(slow_s())
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


class There:
    """A home somewhere else, its server and engine in a process of their own."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / "home"
        (root / "project.py").write_text(PROJECT)
        self.link = Link()
        settings = Settings(root=str(root), home=str(self.home), capture=False)
        with closing(open_workspace(settings)) as ws:
            now = ws.clock.now()
            made = {
                role: ws.write(
                    Permission.ADMIN,
                    lambda tx, r=role: tokens.create(tx, r, r, now=now, ttl_s=None),
                )
                for role in ("admin", "viewer")
            }
        self.asked = ("--url", self.link.url, "--token", made["admin"])
        self.guest = ("--url", self.link.url, "--token", made["viewer"])
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", SERVE, str(self.root), str(self.home)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.link.server = int(self._process.stdout.readline())

    def kill(self) -> None:
        self.link.server = None
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    found = There(tmp_path_factory.mktemp("there"))
    try:
        found.start()
        yield found
    finally:
        found.kill()
        found.link.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What a step waits for; ``.begun`` is beside it when it does."""
    return tmp_path / "gate"


def meanwhile(work: Callable[[], Any]) -> threading.Thread:
    """Do something beside the command that is tried."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def begun(gate: Path) -> bool:
    return gate.with_suffix(".begun").exists()


def test_lines_of_a_step_come_while_it_runs_and_those_of_a_run_it_started_too(
    there: There, gate: Path, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = displays.Objects.printed

    def printed(self: displays.Objects, step: str, text: str) -> None:
        shown(self, step, text)
        gate.touch()  # or the step would never end

    monkeypatch.setattr(displays.Objects, "printed", printed)
    there.link.slow_s = 0.05
    try:
        words = ("run", "outer", "-p", f"gate={gate}", *there.asked, "--json-lines")
        said = say(*words)
    finally:
        there.link.slow_s = 0.0
    found = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0, said.err
    lines = [(one["step"], one["text"]) for one in found if one["event"] == "printed"]
    assert lines == [("held/load", "waits at the gate"), ("held/load", "is through")]
    states = [(one["step"], one["state"]) for one in found if one["event"] == "step"]
    assert dict(states) == {"held": "done", "held/load": "done"}
    end = found[-1]
    assert (end["event"], end["run"]["status"]) == ("end", "finished")
    [below] = end["below"]
    assert (below["step"], below["steps"][0]["run"]) == ("held", below["run"])
    # An hour later, by who may only look; and in the logs, by the names of both.
    said = say("runs", "follow", end["run"]["id"], *there.guest)
    assert said.code == 0, said.err
    assert "held/load | is through" in said.out
    said = say("logs", "--run", end["run"]["id"], "--follow", *there.asked)
    assert said.code == 0, said.err
    assert "is through" in said.out
    assert "step=held/load" in said.out
    said = say("logs", "--run", end["run"]["id"], "--step", "held/lod", *there.asked)
    assert (said.code, "Did you mean 'held/load'?" in said.err) == (2, True)


def test_what_broke_in_a_run_that_a_step_started_is_told_with_its_line(
    there: There, gate: Path, say: Callable[..., Any]
) -> None:
    said = say("run", "broken", "-p", f"gate={gate}", *there.asked)
    assert said.code == 1
    assert "training/fit failed:" in said.out
    assert 'raise ValueError("nothing to learn from")' in said.out
    assert say("logs", "--run", "last", "--follow", *there.asked).code == 1


def test_a_server_that_is_killed_and_started_again_is_followed_to_the_end(
    there: There, gate: Path, say: Callable[..., Any]
) -> None:
    def work() -> None:
        until(lambda: begun(gate))
        there.kill()
        before = there.link.refused
        until(lambda: there.link.refused > before)  # it was missed
        there.start()
        gate.touch()

    beside = meanwhile(work)
    said = say("run", "held", "-p", f"gate={gate}", *there.asked)
    beside.join()
    assert said.code == 0, said.out + said.err
    assert "It is asked again" in said.err
    assert "the server answers again" in said.err
    assert "load | is through" in said.out


def test_the_first_ctrl_c_stops_the_run_on_the_server(
    there: There, gate: Path, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        monkeypatch.setattr(displays.Lines, "printed", lambda *_: None)  # once
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(displays.Lines, "printed", pressed)
    said = say("run", "held", "-p", f"gate={gate}", *there.asked)
    assert said.code == 130
    assert "stopping the run; Ctrl-C again leaves at once" in said.err
    run = say("show", "last", *there.asked, "--json").json["run"]
    assert run["status"] == "cancelled"
    assert f"mainspring resume {run['id']}" in said.out


def test_who_only_looks_at_a_run_leaves_it_alone(
    there: There, gate: Path, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Remote(Settings(root="", home="", url=there.asked[1], token=there.asked[3]))
    run = house.call("pipelines.run", pipeline="held", params={"gate": str(gate)})["run"]
    house.close()
    until(lambda: begun(gate))

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(displays.Lines, "printed", pressed)
        said = say("runs", "follow", run, *there.asked)
    assert said.code == 130
    assert f"left; {run} goes on" in said.err
    assert say("show", run, *there.asked, "--json").json["run"]["status"] == "running"
    gate.touch()
    assert say("runs", "follow", run, *there.asked).code == 0


def test_a_wrong_token_and_a_server_that_is_not_there_are_said_in_a_line(
    there: There, say: Callable[..., Any]
) -> None:
    said = say("run", "held", "--url", there.link.url, "--token", "ms_nonsense")
    assert said.code == 1
    assert "token" in said.err
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        said = say("run", "held", "--url", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert said.code == 1
    assert "No server answers" in said.err
    assert said.err.count("\n") == 2
