"""A home with something of everything, and the main port served on loopback."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mainspring.engine import reactor
from mainspring.experiments import runs
from mainspring.ground.clock import SystemClock
from mainspring.ground.identity import sha256
from mainspring.ground.objects import (
    Alarm,
    Card,
    CheckResult,
    Column,
    Decision,
    LoopSpec,
    Run,
    RunStatus,
    Signature,
    Version,
    Window,
)
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.monitoring import alarms, windows
from mainspring.readiness import decisions, gate, registry
from mainspring.scaling.serving import endpoints
from mainspring.web.app import build_app
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.views import endpoint_http
from serving_in_a_thread import served

NOW = 1_700_000_000.0
SPEC = LoopSpec(
    name="flights",
    model="flights",
    pipeline="project:train",
    endpoint="flights",
    target="delayed",
    kind="binary",
)


def furnish(tx: Tx) -> None:
    """Put one of everything into a home: versions 1 (champion), 2 (passed), 3 (refused)."""
    run = Run(
        id="run_1",
        experiment="train",
        name="train",
        status=RunStatus.FINISHED,
        started=NOW,
        ended=NOW + 2,
        params={"trees": "100"},
        metrics={"auc": 0.7},
    )
    runs.create(tx, run)
    runs.log(tx, "run_1", {"auc": 0.8}, at=NOW + 1)
    for number, passed in ((1, True), (2, True), (3, False)):
        registry.register(tx, _version(number))
        check = CheckResult(name="auc", passed=passed, found="0.8", wanted="at least 0.7")
        gate.store_result(tx, gate.result("flights", number, [check], NOW + number, "engine"))
    registry.promote(tx, "flights", 1, reason="The first version.", at=NOW)
    endpoints.ensure(tx, "flights", "flights", at=NOW, loop="flights")
    reactor.declare(tx, SPEC, at=NOW)
    for number in range(3):
        _decide(tx, number)
    windows.save(tx, _window())
    alarms.raise_(tx, _alarm())


def _version(number: int) -> Version:
    signature = Signature(
        columns=[Column(name="distance", type="float")], kind="binary", target="delayed"
    )
    return Version(
        model="flights",
        number=number,
        run="run_1",
        package=sha256(str(number).encode()),
        signature=signature,
        card=Card(purpose="Tell delays.", owner="ops", limitations="New York only."),
        metrics={"auc": 0.8},
        created=NOW,
        by="engine",
        cause="alarm:alarm_1" if number > 1 else "first",
        command=f"flights-{number:04d}",
    )


def _decide(tx: Tx, number: int) -> None:
    decision = Decision(
        id=f"decision_{number}",
        at=NOW + number,
        made=NOW + number,
        kind="promote",
        subject="version:1",
        reason="The first version.",
        by="loop:flights",
        loop="flights",
        evidence={"run": "run_1"},
    )
    decisions.record(tx, decision)


def _window() -> Window:
    drift = {"column": "distance", "distance": 0.2, "radius": 0.1, "smallest": 0.1}
    drift |= {"kind": "drift", "verdict": "alarm", "why": "It moved."}
    return Window(
        id="flights:0",
        endpoint="flights",
        start=NOW,
        end=NOW + 100,
        rows=1000,
        version=1,
        drift=[drift],
        performance={"loss": {"value": 0.2, "low": 0.1, "high": 0.3}},
        labelled=900,
    )


def _alarm() -> Alarm:
    return Alarm(
        id="alarm_1",
        endpoint="flights",
        kind="drift",
        subject="distance",
        reason="It moved.",
        raised=NOW + 100,
        window="flights:0",
    )


def _open(root: Path) -> Workspace:
    settings = load({"max_body_mb": 2}, start=root, environ={})
    return open_workspace(settings, clock=SystemClock())


@pytest.fixture(autouse=True)
def _however_slow_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an endpoint that is only slow not be taken for one that is down."""
    monkeypatch.setattr(endpoint_http, "STATUS_TIMEOUT_S", 60.0)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a home that is never changed, to be copied."""
    root = tmp_path_factory.mktemp("furnished")
    (root / "mainspring.toml").write_text("")
    with contextlib.closing(_open(root)) as ws:
        ws.store.write(service("engine"), Permission.WORK, furnish)
    return root


@pytest.fixture
def house(furnished: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace in a home of its own, with something of everything in it."""
    root = tmp_path / "project"
    shutil.copytree(furnished, root)
    with contextlib.closing(_open(root)) as ws:
        yield ws


@pytest.fixture(scope="session")
def still_house(furnished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A furnished workspace for tests that change nothing in it."""
    root = tmp_path_factory.mktemp("still") / "project"
    shutil.copytree(furnished, root)
    with contextlib.closing(_open(root)) as ws:
        yield ws


@pytest.fixture(scope="session")
def still_web(still_house: Workspace) -> Iterator[httpx.Client]:
    """A client of it as its owner, for tests that change nothing in it."""
    with (
        served(build_app(still_house)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def url(house: Workspace) -> Iterator[str]:
    """The URL of the house, served."""
    with served(build_app(house)) as found:
        yield found


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    """A client of the house as its owner."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def as_token(house: Workspace, url: str) -> Iterator[Callable[..., httpx.Client]]:
    """Make clients that show a token of a role; from the first on, tokens alone count."""
    from mainspring.web.api import call

    with contextlib.ExitStack() as stack:

        def make(role: str, **fields: object) -> httpx.Client:
            name = str(fields.pop("name", role))
            made = call(house, "tokens.create", name=name, role=role, **fields)
            headers = {"Authorization": f"Bearer {made['token']}"}
            return stack.enter_context(
                httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)
            )

        yield make
