"""kill -9 between noticing an event, noting it and starting its run: one run for each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from homes import work_as_engine

from mainspring.engine.triggers import Trigger
from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.clock import SystemClock, TurnedClock
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.workspace import crons
from mainspring.workspace.events import verbs
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.views.searching import run_page

PROJECT = """
import mainspring as ms

@ms.step
def say(x: str) -> str:
    return x

@ms.pipeline
def tell(x: str = "none") -> str:
    return say(x)
"""
#: Where each engine is killed, one after the other; the last is let live. Of the two events, the
#: two fire times and their runs each is somewhere on the way at each of them.
KILLS = [
    "scan.done:1",
    "trigger.noted:1",
    "task.ended:1",
    "trigger.settled:1",
    "handler.after:2",
]


def log(ws: Workspace, *digests: str) -> None:
    def work(tx: Tx) -> None:
        run = Run(id="run_x", experiment="e", name="x", status=RunStatus.RUNNING, started=1.0)
        runs.create(tx, run)
        told = [Dataset(name="f", digest=d, source_type="local", source="x") for d in digests]
        datasets.log(tx, run.id, [Use(dataset=one) for one in told], ws.clock.now())

    work_as_engine(ws, work)


def test_each_event_and_each_fire_time_starts_one_run_however_often_the_engine_is_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    settings = Settings(root=str(tmp_path), home=str(tmp_path / "home"))
    now = SystemClock().now()
    ws = open_workspace(settings, clock=TurnedClock(now - 9000))  # its engine was away since
    given = crons.Given(every_s=3600.0, anchor=now - 9000 + 60, catch_up="all", overlap="allow")
    crons.put(ws, "hourly", "tell", given)
    wanted = Trigger(
        name="t", source="dataset", what="f", root=settings.root, pipeline="tell",
        params={"x": "{event.version}"}, overlap="allow",
    )  # fmt: skip
    verbs.put(ws, wanted)
    log(ws, "v1", "v2")
    driver = Path(__file__).parent / "driver.py"
    done = subprocess.run(
        [sys.executable, str(driver), settings.root, settings.home, json.dumps([*KILLS, ""])],
        check=True, timeout=500, stdout=subprocess.PIPE,
    )  # fmt: skip
    codes = json.loads(done.stdout)
    assert codes[-1] == 0
    assert set(codes[:-1]) == {-9}
    made = [run for run in run_page(ws, limit=100).runs if run.cause]
    assert {run.status for run in made} == {"finished"}
    assert Counter(run.params.get("x") for run in made) == {"v1": 1, "v2": 1, "none": 3}
    assert len({run.cause for run in made}) == 5
    assert {one.event.state for one in verbs.shown(ws, "t")[1]} == {"begun"}
    ws.close()
