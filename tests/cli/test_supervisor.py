"""The supervisor, with real processes that stand in for web, engine and endpoints."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.ground.held import Held
from mainspring.web.server import bind
from mainspring.workspace.logs import asking
from mainspring.workspace.logs.lines import Query
from waiting import alive, until

STAND_IN = Path(__file__).with_name("stand_in.py")


class Up:
    """A supervisor in a process of its own."""

    def __init__(self, home: Path, port: int = 0) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, STAND_IN, str(home), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.home / "run/supervisor.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def pids(self) -> dict[str, int]:
        return {p["name"]: p["pid"] for p in self.state().get("processes", []) if p["pid"]}

    def wait_for(self, *names: str) -> dict[str, int]:
        return until(lambda: (pids := self.pids()).keys() >= set(names) and pids)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Return a supervisor whose web and engine run; nothing of it is left behind."""
    started = Up(tmp_path / "home")
    pids: dict[str, int] = {}
    try:
        until(lambda: any(p["ready"] for p in started.state().get("processes", [])))
        pids = started.wait_for("web", "engine")
        yield started
    finally:
        pids |= started.pids()
        started.process.kill()
        started.process.communicate()
        until(lambda: not any(alive(pid) for pid in pids.values()))


def want(up: Up, *names: str) -> None:
    new = up.home / "wanted.new"
    new.write_text(" ".join(names))
    new.replace(up.home / "wanted")


@pytest.mark.parametrize("killed", ["web", "engine", "endpoint-flights"])
def test_a_killed_process_comes_back_and_the_others_never_notice(up: Up, killed: str) -> None:
    want(up, "flights")
    before = up.wait_for("web", "engine", "endpoint-flights")
    os.kill(before[killed], signal.SIGKILL)
    after = until(lambda: up.pids().get(killed, before[killed]) != before[killed] and up.pids())
    assert {n: p for n, p in after.items() if n != killed} == {
        n: p for n, p in before.items() if n != killed
    }
    restarts = {p["name"]: p["restarts"] for p in up.state()["processes"]}
    assert restarts == dict.fromkeys(before, 0) | {killed: 1}


def test_a_killed_supervisor_takes_its_processes_along(up: Up) -> None:
    want(up, "flights")
    pids = up.wait_for("web", "engine", "endpoint-flights")
    up.process.kill()
    until(lambda: not any(alive(pid) for pid in pids.values()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_all_and_leaves_nothing(up: Up, number: signal.Signals) -> None:
    want(up, "flights")
    pids = up.wait_for("web", "engine", "endpoint-flights")
    up.process.send_signal(number)
    assert up.process.wait(60) == 0
    assert not any(alive(pid) for pid in pids.values())
    assert up.state() == {}


def test_a_process_that_does_not_drain_is_killed_in_its_time(up: Up) -> None:
    want(up, "stubborn")
    pid = up.wait_for("endpoint-stubborn")["endpoint-stubborn"]
    os.kill(pid, signal.SIGSTOP)
    assert up.end() == 0
    assert not alive(pid)


def test_endpoints_come_and_go_as_the_engine_wants(up: Up) -> None:
    want(up, "a", "b")
    pids = up.wait_for("endpoint-a", "endpoint-b")
    (up.home / "run/endpoints/b.json").write_text("{}")
    want(up, "a")
    until(lambda: "endpoint-b" not in up.pids() and not alive(pids["endpoint-b"]))
    assert not (up.home / "run/endpoints/b.json").exists()
    assert up.pids()["endpoint-a"] == pids["endpoint-a"]


def test_an_endpoint_name_that_is_no_name_is_never_started(up: Up) -> None:
    want(up, "../../etc", "--link", "fine")
    assert up.wait_for("endpoint-fine").keys() == {"web", "engine", "endpoint-fine"}


def test_a_second_up_of_one_home_says_who_holds_it(up: Up) -> None:
    second = Up(up.home)
    _, said = second.process.communicate(timeout=60)
    assert second.process.returncode == 1
    assert f"pid {up.process.pid} at http://127.0.0.1:{up.state()['port']}" in said
    assert "mainspring stop" in said


def test_a_port_in_use_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = Up(tmp_path / "home", port)
        _, said = refused.process.communicate(timeout=60)
    assert refused.process.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use" in said
    assert "--port" in said
    assert said.count("\n") == 1


def test_after_a_killed_supervisor_the_home_is_up_again_at_once(up: Up) -> None:
    port = up.state()["port"]
    with Held("127.0.0.1", port):  # or another program's connection might have it meanwhile
        up.process.kill()
        up.process.wait()
        again = Up(up.home, port)
        try:
            until(lambda: again.state().get("pid") == again.process.pid)
            again.wait_for("web", "engine")
        finally:
            assert again.end() == 0
            again.process.communicate()


def test_the_port_is_nobody_elses_while_the_web_process_is_not_there(up: Up) -> None:
    port = up.state()["port"]  # on which a stand-in does not listen
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    bind("127.0.0.1", port).close()  # as the web process does


def test_what_a_home_runs_is_its_owners_alone(up: Up) -> None:
    until(lambda: lines_of(up.home, "web prints") and lines_of(up.home, "engine started"))
    files = ("web.log", "engine.log", "web.jsonl", "supervisor.jsonl")
    for file in ("run/supervisor.json", "run/up.lock", *(f"logs/{name}" for name in files)):
        assert (up.home / file).stat().st_mode & 0o077 == 0, file


def lines_of(home: Path, text: str) -> list[dict[str, Any]]:
    found = asking.find(home, Query(text=text), limit=1000)
    return [msgspec.to_builtins(line) for line in reversed(found)]


def noted(home: Path, name: str) -> bool:
    """Return whether it is noted that all that a process printed was taken."""
    file = home / "run/outputs.json"
    taken = json.loads(file.read_text()) if file.exists() else {}
    return bool(taken.get(name) == (home / f"logs/{name}.log").stat().st_size)


def test_what_processes_print_and_how_they_end_is_in_the_logs(up: Up) -> None:
    until(lambda: lines_of(up.home, "engine prints"))  # one killed sooner has printed nothing
    pid = up.pids()["engine"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: up.pids().get("engine", pid) != pid)
    first, second = until(lambda: len(found := lines_of(up.home, "engine prints")) > 1 and found)
    assert (first["process"], first["pid"], first["level"]) == ("engine", pid, "info")
    assert second["pid"] != pid
    assert first["event"] == "engine prints, password=***"
    [ended] = lines_of(up.home, "was ended by signal 9")
    assert (ended["process"], ended["level"]) == ("supervisor", "error")
    assert [line["event"] for line in lines_of(up.home, "engine started")] == [
        "engine started",
        "engine started",
    ]


def test_the_last_words_under_a_killed_supervisor_are_taken_by_the_next_and_once(up: Up) -> None:
    until(lambda: lines_of(up.home, "web prints"))
    until(lambda: noted(up.home, "web"))  # lines are taken, then it is noted how far
    pids = up.pids()
    up.process.kill()
    up.process.wait()
    until(lambda: not any(alive(pid) for pid in pids.values()))
    with (up.home / "logs/web.log").open("a") as raw:
        raw.write("the very last words\n")
    again = Up(up.home)
    try:
        again.wait_for("web", "engine")
        until(lambda: lines_of(up.home, "the very last words"))
        until(lambda: len(lines_of(up.home, "web prints")) == 2)
    finally:
        again.end()
        again.process.communicate()
    assert len(lines_of(up.home, "the very last words")) == 1


def test_what_a_server_drains_ends_before_the_supervisor_kills_it() -> None:
    from mainspring.cli.supervisor import DRAIN
    from mainspring.scaling.serving import server as endpoint
    from mainspring.web import server as web

    most = dict(DRAIN)
    assert most["web"] > web.DRAIN_S
    assert most["endpoint"] > endpoint.DRAIN_S
