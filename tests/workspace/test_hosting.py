"""The shared host as a process of its own, on a real home."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from homes import LOOP, NOW, PATIENT, add_version, settle, work_as_engine
from whole_loop import rows_of

from mainspring.cli.start import main
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import EndpointOptions, Rollout, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.monitoring import alarms, windows
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.routing import routing, shared_routings
from mainspring.workspace.views import endpoint_http
from mainspring.workspace.views.endpoints import endpoint_board, endpoint_boards
from mainspring.workspace.views.shapes import EndpointBoard
from waiting import until

SHARED = EndpointOptions(place="shared", limits=PATIENT)


@pytest.fixture
def host(served: Workspace) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start a host on the home; it is ended with the test."""
    made: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        home = str(served.home)
        command = [sys.executable, "-m", "mainspring.cli.processes", "host", "--home", home]
        made.append(subprocess.Popen(command))
        return made[-1]

    yield start
    for one in made:
        one.terminate()
        one.wait(60)


def share(ws: Workspace, *names: str) -> None:
    def work(tx) -> None:
        for name in names:
            endpoints.ensure(tx, name, "tide", at=NOW)
            endpoints.configure(tx, name, SHARED)

    ws.write(Permission.SERVE, work)


def told(ws: Workspace, name: str) -> dict | None:
    file = ws.home / "run" / "endpoints" / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def test_one_process_serves_what_is_shared_and_says_where(served: Workspace, host) -> None:
    names = [f"m{n:02}" for n in range(40)]
    share(served, *names)
    process = host()
    until(lambda: all(told(served, name) for name in names))
    assert told(served, "tide") is None  # it has a process of its own
    found = told(served, "m07")
    assert found["pid"] == process.pid
    assert found["url"] == f"http://127.0.0.1:{found['port']}/e/m07"
    # A board is asked within half a second, which a busy machine may miss.
    until(lambda: endpoint_board(served, "m07").state == "up")
    boards: dict[str, EndpointBoard] = {}

    def all_up() -> bool:
        boards.update({board.name: board for board in endpoint_boards(served)})
        return all(boards[name].state == "up" for name in names)

    until(all_up)
    assert boards["m07"].serving["asleep"] is True
    assert boards["tide"].state == "down"
    row = {"a": 1.0, "b": 0.5}
    answers = [endpoint_http.predict(served, name, [row]) for name in names]
    assert {answer["model_version"] for answer in answers} == {"tide/1"}
    host_says = httpx.get(
        f"http://127.0.0.1:{found['port']}/status", trust_env=False, timeout=60
    ).json()
    assert (host_says["endpoints"], host_says["loads"], host_says["models"]) == (40, 1, 1)
    maps = Path(f"/proc/{process.pid}/maps")
    if maps.exists():
        assert "/sklearn/" not in maps.read_text()

    # A new champion is followed, an endpoint that is removed is gone, a new one is served.
    work_as_engine(served, lambda tx: registry.promote(tx, "tide", 2, reason="Next.", at=NOW))
    until(lambda: endpoint_http.predict(served, "m07", [row])["model_version"] == "tide/2")
    acts.remove_endpoint(served, "m08")
    acts.create_endpoint(served, "new", "tide", shared=True)
    until(lambda: told(served, "m08") is None and told(served, "new"))
    assert endpoint_http.predict(served, "new", [row])["model_version"] == "tide/2"

    # What was killed comes back where it is started again, and an end takes the files away.
    process.kill()
    process.wait(60)
    second = host()
    until(lambda: told(served, "new")["pid"] == second.pid)
    assert endpoint_http.predict(served, "new", [row])["model_version"] == "tide/2"
    second.terminate()
    assert second.wait(60) == 0
    assert told(served, "new") is None


@pytest.fixture(params=["sqlite", "postgresql"])
def promoted(request, tmp_path: Path, packages) -> Iterator[Workspace]:
    """Give a home on either database, with a champion of the model tide and a version after it."""
    kept = "sqlite" if request.param == "sqlite" else request.getfixturevalue("new_database")()
    database = None if kept == "sqlite" else kept
    folder, made = packages
    settings = Settings(root=str(tmp_path), home=str(tmp_path / "home"), database=database)
    ws = open_workspace(settings, clock=TurnedClock(NOW))
    shutil.copytree(folder, settings.objects_url, dirs_exist_ok=True)
    for number in (1, 2):
        add_version(ws, number, made["good"], passed=True)
    work_as_engine(ws, lambda tx: registry.promote(tx, "tide", 1, reason="First.", at=NOW))
    yield ws
    ws.close()


def test_all_routings_at_once_are_what_each_alone_is(promoted: Workspace) -> None:
    share(promoted, "one", "two")
    rollout = Rollout(
        id="r1",
        endpoint="two",
        model="tide",
        state="running",
        strategy=Strategy.CANARY,
        champion=1,
        challenger=2,
        share=0.2,
        started=NOW,
    )
    work_as_engine(promoted, lambda tx: rollouts.start(tx, rollout))
    found = promoted.read(Permission.READ, shared_routings)
    alone = {
        name: promoted.read(Permission.READ, lambda tx, n=name: routing(tx, n)) for name in found
    }
    assert found == alone
    assert set(found) == {"one", "two"}
    assert (found["one"].champion, found["one"].challenger) == (1, None)
    assert found["two"].challenger == 2


def test_of_two_models_in_one_host_the_one_that_drifts_alarms_alone(
    served: Workspace, host, packages
) -> None:
    add_calm(served, packages[1]["good"])
    work_as_engine(
        served, lambda tx: [endpoints.configure(tx, name, SHARED) for name in ("tide", "calm")]
    )
    host()
    until(lambda: told(served, "tide") and told(served, "calm"))
    for name, shift in (("tide", 4.0), ("calm", 0.0)):
        for day in range(3):
            columns, _, times = rows_of(day)
            # The day after the first, one of the two is asked of values far from those it knows.
            moved = columns["a"] + (shift if day else 0.0)
            parts = zip(moved, columns["b"], times, strict=True)
            rows = [{"a": float(a), "b": float(b), "t": float(t)} for a, b, t in parts]
            endpoint_http.predict(served, name, rows)

    def judged() -> bool:
        settle(served, scanning=True)
        return all(
            served.read(Permission.READ, lambda tx, n=name: windows.count(tx, n)) >= 2
            for name in ("tide", "calm")
        )

    until(judged)
    raised = {
        name: served.read(Permission.READ, lambda tx, n=name: alarms.list_alarms(tx, n))
        for name in ("tide", "calm")
    }
    assert "a" in {alarm.subject for alarm in raised["tide"]}
    assert raised["calm"] == []


def add_calm(ws: Workspace, digest: str) -> None:
    """Add a second model with a loop of its own."""
    spec = msgspec.structs.replace(LOOP, name="calm", model="calm", endpoint="calm")
    add_version(ws, 1, digest, passed=True, model="calm")
    work_as_engine(ws, lambda tx: registry.promote(tx, "calm", 1, reason="First.", at=NOW))
    acts.declare(ws, spec)
    settle(ws)


def test_the_command_shares_an_endpoint_and_keeps_its_other_options(served: Workspace) -> None:
    limits = msgspec.structs.replace(SHARED.limits, queue=7)
    served.write(
        Permission.SERVE,
        lambda tx: endpoints.configure(tx, "tide", EndpointOptions(limits=limits)),
    )
    home = str(served.home)
    assert main(["serve", "tide", "--shared", "--home", home]) == 0
    assert main(["serve", "tide", "--name", "alone", "--home", home]) == 0
    found = {
        one.name: one.options for one in served.read(Permission.READ, endpoints.list_endpoints)
    }
    assert (found["tide"].place, found["tide"].limits.queue) == ("shared", 7)
    assert found["alone"].place == "own"
