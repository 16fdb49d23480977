"""An endpoint that nobody asks any more: its windows close by the clock, and one says so."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.engine import reactor
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import LoopSpec, MonitorPolicy, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load as settings
from mainspring.monitoring import alarms, windows
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.models.load import load
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace.handlers.standing import Stands
from mainspring.workspace.handlers.windowing import Windower
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.scans import Scans

HOUR = 3600.0
START = 480_000 * HOUR


class House:
    """A served endpoint, hourly windows, and the engine's work done by hand."""

    def __init__(self, root: Any) -> None:
        (root / "mainspring.toml").write_text("")
        self.clock = TurnedClock(START)
        self.ws: Workspace = open_workspace(settings(start=root, environ={}), clock=self.clock)
        rng = np.random.default_rng(0)
        train = pl.DataFrame({"x": rng.normal(size=500), "y": rng.integers(0, 2, 500)})
        fitted = Model(LogisticRegression(), target="y").fit(train)
        digest = package.write(fitted, self.ws.objects)
        version = Version(
            model="m", number=1, run=None, package=digest, signature=fitted.signature, card=None,
            metrics={}, created=START, by="owner",
        )  # fmt: skip
        spec = LoopSpec(
            name="m", model="m", pipeline="p:train", endpoint="m", target="y", kind="binary",
            monitor=MonitorPolicy(window_s=HOUR, season_s=HOUR),
        )  # fmt: skip

        def furnish(tx: Any) -> None:
            registry.register(tx, version)
            gate.store_result(tx, gate.result("m", 1, [], START, "engine"))
            registry.promote(tx, "m", 1, reason="The first.", at=START)
            endpoints.ensure(tx, "m", "m", at=START, loop="m")
            reactor.declare(tx, spec, at=START)

        self.ws.write(Permission.ADMIN, furnish)
        self.model = load(digest, self.ws.objects)
        self.engine = self.ws.acting_as(service("engine"))
        self.scans = Scans(self.engine)
        self.windower = Windower(self.engine, Stands(self.engine))

    def ask(self, hours: int, *, late: float = 0.0) -> None:
        """Ask for so many hours, some 40 rows each."""
        writer = CaptureWriter(self.ws.captures("m"))
        for hour in range(hours):
            rows = 38 + hour % 5
            times = START + hour * HOUR + np.linspace(1, HOUR - 1, rows)
            prepared = self.model.check({"x": np.linspace(-1, 1, rows)})
            writer.append(
                Batch(
                    first=writer.reserve(rows),
                    received=times[-1] + late,
                    times=times,
                    columns=prepared.columns,
                    types=prepared.types,
                    versions=np.ones(rows, dtype=np.int64),
                    scores=self.model.score(prepared),
                )
            )
        assert writer.flush(60.0)
        writer.close(60.0)
        self.clock.turn(hours * HOUR)

    def work(self) -> None:
        """Judge every window that is due."""
        for _ in range(200):
            found = self.engine.read(Permission.WORK, self.scans.all)
            due = [task for task in found if task.kind == "window"]
            if not due:
                return
            done = self.windower.window(SimpleNamespace(task=due[0]))  # type: ignore[arg-type]
            if done.apply is not None:
                self.engine.write(Permission.WORK, done.apply)
        raise AssertionError("windows without end")

    def judged(self) -> list[Any]:
        return self.ws.read(Permission.READ, lambda tx: windows.list_windows(tx, "m"))[::-1]

    def open(self) -> set[tuple[str, str]]:
        return self.ws.read(Permission.READ, lambda tx: alarms.open_subjects(tx, "m"))


@pytest.fixture
def house(tmp_path: Any) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.ws.close()


def test_silence_where_traffic_was_usual_is_an_alarm(house: House) -> None:
    house.ask(10)
    house.work()
    assert {one.rows for one in house.judged()} <= set(range(38, 43))
    assert ("traffic", "volume") not in house.open()
    house.clock.turn(3 * HOUR)
    house.work()
    last = house.judged()[-1]
    assert last.rows == 0
    volume = next(one for one in last.found if one.subject == "volume")
    assert volume.why.startswith("No traffic: 0 rows;")
    assert ("traffic", "volume") in house.open()


def test_replayed_rows_are_waited_for(house: House) -> None:
    house.ask(10, late=100 * HOUR)
    house.clock.turn(200 * HOUR)
    house.work()
    assert min(one.rows for one in house.judged()) > 0
    assert house.open() == set()
