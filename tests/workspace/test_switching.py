"""Real processes under load: a hundred switches, a canary that breaks, a timed roll-back."""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from homes import PATIENT, add_version, work_as_engine
from sklearn.linear_model import LogisticRegression
from whole_loop import rows_of

from mainspring.backends.objects import open_objects
from mainspring.ground.objects import Decision, EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.readiness import decisions, registry
from mainspring.retraining import declaring
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints
from mainspring.workspace import acts, recovering, rollingout
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.scoring.drill import serving_process
from mainspring.workspace.scoring.load import Asked, Callers
from waiting import until

SWITCHES = 100
PATIENCE_S = 60.0
ROWS = [{"a": 0.1 * n - 1.0, "b": 0.5} for n in range(20)]


@pytest.fixture
def house(tmp_path: Path, packages: tuple[Path, dict[str, str]]) -> Iterator[Workspace]:
    """A home on the real clock: version 1 serves, 2 passed, 3 asks for a column nobody sends."""
    folder, made = packages
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    Path(settings.root).mkdir()
    ws = open_workspace(settings)
    shutil.copytree(folder, ws.settings.objects_url, dirs_exist_ok=True)
    columns, truth, _ = rows_of(0)
    rows = pl.DataFrame({**columns, "c": np.arange(len(truth)) * 1.0, "y": truth})
    broken = Model(LogisticRegression(), "y", "binary", columns=["a", "b", "c"])
    third = package.write(
        broken.fit(rows.head(180), holdout=rows.tail(60)), open_objects(ws.settings.objects_url)
    )
    for number, digest in ((1, made["good"]), (2, made["good"]), (3, third)):
        add_version(ws, number, digest, passed=True)
    work_as_engine(ws, lambda tx: registry.ensure_model(tx, "tide", at=0.0))
    work_as_engine(ws, lambda tx: registry.promote(tx, "tide", 1, reason="First.", at=0.0))
    work_as_engine(ws, lambda tx: endpoints.ensure(tx, "tide", "tide", at=0.0))
    options = EndpointOptions(limits=PATIENT)
    ws.write(Permission.SERVE, lambda tx: endpoints.configure(tx, "tide", options))
    yield ws
    ws.close()


@contextmanager
def engine(ws: Workspace) -> Iterator[None]:
    """Have an engine at work in a thread."""
    stop = threading.Event()
    works = make_engine(ws, "test")
    thread = threading.Thread(target=works.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not works.troubles, works.troubles


def rolled_back(house: Workspace) -> list[Decision]:
    return house.read(Permission.READ, lambda tx: decisions.list_decisions(tx, kind="roll_back"))


def failed(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if one.status != 200]


def test_a_hundred_switches_under_load_fail_nobody_and_the_old_one_never_answers_again(
    house: Workspace,
) -> None:
    took = []
    with serving_process(house, "tide") as url, Callers(url, ROWS, 2, pause_s=0.003) as callers:
        until(lambda: len(callers.asked) > 10)
        switched = []
        for switch in range(SWITCHES):
            number = 2 - switch % 2
            acts.promote(house, "tide", number, f"Switch {switch}.")
            at = time.monotonic()
            # Whoever is answered by the new one first, nobody after it is by the old one.
            until(lambda at=at, number=number: answered(callers, at, number))
            took.append(time.monotonic() - at)
            switched.append((at, number))
        asked = callers.asked
    assert failed(asked) == []
    assert {one.version for one in asked} == {1, 2}
    for (at, number), before in zip(
        switched, [at for at, _ in switched[1:]] + [float("inf")], strict=True
    ):
        mine = [one for one in asked if at <= one.answered < before]
        first = min(one.answered for one in mine if one.version == number)
        old = [one for one in mine if one.version != number and one.sent > first]
        assert old == []
    assert statistics.median(took) < 20.0  # 0.2 s on an idle machine


def answered(callers: Callers, since: float, number: int) -> bool:
    return any(one.sent >= since and one.version == number for one in callers.newest())


def test_a_broken_canary_goes_home_in_seconds_and_no_request_fails(house: Workspace) -> None:
    with (
        serving_process(house, "tide") as url,
        Callers(url, ROWS, 2, pause_s=0.003) as callers,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
        engine(house),
    ):
        until(lambda: len(callers.asked) > 10)
        policy = declaring.Rollout(share=0.5)
        rollingout.start(house, "tide", "It asks for more.", version=3, policy=policy)
        until(lambda: rolled_back(house))
        until(lambda: client.get("/status").json()["challenger"] is None)
        seen = house.clock.now()
        asked = callers.asked
    found = rolled_back(house)
    assert "scorings failed (100.0%)" in found[0].reason
    assert failed(asked) == []
    assert {one.version for one in asked} == {1}
    assert seen - found[0].made < PATIENCE_S


def test_a_roll_back_says_how_long_it_took_until_the_endpoint_answered(house: Workspace) -> None:
    acts.promote(house, "tide", 2, "Forward.")
    with serving_process(house, "tide") as url, Callers(url, ROWS, 2, pause_s=0.003) as callers:
        until(lambda: any(one.version == 2 for one in callers.asked))
        start = time.monotonic()
        number, seconds = recovering.roll_back(house, "tide", "Complaints.")
        asked = callers.asked
        took = time.monotonic() - start
    assert number == 1
    assert seconds["tide"] is not None
    assert 0 < seconds["tide"] <= round(took, 3) + 0.001  # told in whole milliseconds
    assert failed(asked) == []
