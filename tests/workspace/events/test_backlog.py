"""However much happened between two looks, each of it is noted once, the oldest first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import NOW, work_as_engine

from mainspring.engine import triggers
from mainspring.engine.triggers import Trigger
from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Alarm, Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.monitoring import alarms
from mainspring.pipelines.data import versions as data
from mainspring.workspace.engines import make_engine
from mainspring.workspace.events import backlog, sources
from mainspring.workspace.opening import Workspace, open_workspace


def ended(tx: Tx, number: int) -> str:
    at = NOW + number
    run = Run(
        id=f"run_{number:03}", experiment="e", name="r", status=RunStatus.RUNNING,
        # The longest came first: what ends last began first.
        started=NOW - number, pipeline="project:tell",
    )  # fmt: skip
    runs.create(tx, run)
    runs.end(tx, run.id, RunStatus.FINISHED, at)
    return f"{run.id} {at:.3f}"


def raised(tx: Tx, number: int) -> str:
    one = Alarm(
        id=f"alarm_{number:03}", endpoint="tide", kind="drift", subject=f"col{number}",
        reason="it moved",
        raised=NOW + number - number % 2, window=f"w{number}", evidence={},
    )  # fmt: skip
    alarms.raise_(tx, one)
    alarms.raise_(tx, one.__class__(**{**{n: getattr(one, n) for n in one.__struct_fields__},
                                       "id": f"other_{number:03}", "endpoint": "other",
                                       "kind": "age", "subject": f"y{number}"}))  # fmt: skip
    return one.id


def read(tx: Tx, number: int) -> str:
    run = f"reader_{number}"
    runs.create(tx, Run(id=run, experiment="e", name=run, status=RunStatus.RUNNING, started=NOW))
    told = Dataset(name="flights", digest=f"d{number:03}", source_type="local", source="x")
    datasets.log(tx, run, [Use(dataset=told)], NOW + number - number % 2)
    return f"d{number:03}"


def added(tx: Tx, number: int) -> str:
    new = data.DataVersion(
        name="tables", number=0, digest=f"{number:064}", manifest="b" * 64, kind="file",
        created=NOW + number, by="test", files=1, bytes=3,
    )  # fmt: skip
    return f"v{data.add(tx, new).number}"


KINDS: dict[str, Callable[[Tx, int], str]] = {
    "run:tell": ended,
    "alarm:tide": raised,
    "dataset:flights": read,
    "dataset:tables": added,
}


def declare(ws: Workspace) -> None:
    def work(tx: Tx) -> None:
        for on in KINDS:
            source, what = sources.read(on)
            one = Trigger(
                name=on.replace(":", "-"), source=source, what=what, root="/r", pipeline="p:p",
                filters=["kind == nothing"],  # noted, and starts nothing
            )  # type: ignore[arg-type]  # fmt: skip
            there = [each.key for each in sources.newest(tx, one)]
            triggers.put(tx, one, there, None, ws.clock.now())

    ws.write(Permission.RUN, work)


def happen(ws: Workspace, numbers: range) -> dict[str, list[str]]:
    return work_as_engine(
        ws, lambda tx: {on: [make(tx, number) for number in numbers] for on, make in KINDS.items()}
    )


def noted(ws: Workspace) -> dict[str, list[str]]:
    def look(tx: Tx) -> dict[str, list[str]]:
        found = {on: triggers.past(tx, on.replace(":", "-"), 1000) for on in KINDS}
        return {on: [one.key for one in reversed(past)] for on, past in found.items()}

    return ws.read(Permission.READ, look)


def work(ws: Workspace, looks: int = 1000) -> None:
    engine, idle = make_engine(ws, "one"), 0
    for _ in range(looks):
        idle = 0 if engine.step_once() else idle + 1
        if idle > 8:  # it reads a few pages in each look, which is nothing to do yet
            break
        if idle:
            ws.clock.turn(2.0)  # type: ignore[attr-defined]  # it looks again after a second


def test_more_than_one_page_of_happenings_loses_none_and_what_was_before_stays_before(
    tmp_path: Path, home_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sources, backlog):
        monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(backlog, "PAGES", 2)
    monkeypatch.setattr(backlog, "AT_ONCE", 2)
    (tmp_path / "home").mkdir(exist_ok=True)
    settings = Settings(root=str(tmp_path), home=str(tmp_path / "home"), database=home_url)
    clock = TurnedClock(NOW)
    ws = open_workspace(settings, clock=clock)
    happen(ws, range(10))  # more than a page of the past: none of it is news
    clock.turn(20.0)
    declare(ws)
    work(ws)
    assert noted(ws) == {on: [] for on in KINDS}
    wanted: dict[str, Any] = happen(ws, range(20, 40))
    work(ws, looks=30)  # this engine dies on the way, and another begins at the newest again
    work(ws)
    assert noted(ws) == wanted
    for on, keys in happen(ws, range(40, 42)).items():
        wanted[on] = wanted[on] + keys
    work(ws)
    assert noted(ws) == wanted
    ws.close()
