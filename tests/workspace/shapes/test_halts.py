"""What is said of a run that does not go on: it waits, or nobody drives it any more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import NOW, InProcess
from shapes_home import Shapes

from mainspring.engine import leases, tasks
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Halt, HaltState
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import processes, running, waiting
from mainspring.workspace.opening import open_workspace
from mainspring.workspace.views import pipelines
from mainspring.workspace.views.runs import run_detail
from mainspring.workspace.views.searching import run_page


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.soak), "postgresql"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[..., str]
) -> Iterator[Shapes]:
    database = new_database(laid_out=True) if request.param == "postgresql" else None
    root, home = str(tmp_path / "project"), str(tmp_path / "home")
    ws = open_workspace(Settings(root=root, home=home, database=database), clock=TurnedClock(NOW))
    ws._started.append(InProcess())
    yield Shapes(ws, tmp_path / "project")
    ws.close()
    projects.close()


def halt(shapes: Any, run: str) -> Halt | None:
    found: Halt | None = run_detail(shapes.ws, run).run.halt
    return found


def found(shapes: Any, filter_: str = "", status: str | None = None) -> set[str]:
    return {one.id for one in run_page(shapes.ws, filter=filter_, status=status).runs}


def test_runs_say_what_they_wait_for_and_are_found_by_it(both: Shapes) -> None:
    now = both.ws.clock.now
    yes = both.start("asked", expires="2d")
    news, time_ = both.start("told"), both.start("later", until="2027-02-01T00:00:00Z")
    over = both.start("squares")
    within = both.start("outer_asked")
    child = next(one for one in found(both, "parent is not null"))
    told = halt(both, yes)
    assert told is not None
    assert (told.state, told.kind, told.step, told.message, told.more) == (
        "waiting", "approval", "release", "Is 9 right?", 0,
    )  # fmt: skip
    assert told.until is not None
    assert told.since is not None
    assert NOW <= told.since <= now()
    assert told.until - told.since == pytest.approx(2 * 86_400, abs=1)
    assert told.command == f"mainspring approve-step {yes} release --reason WHY"
    event, clock = halt(both, news), halt(both, time_)
    assert event is not None and clock is not None  # noqa: PT018  two runs, one thought
    assert event.command == f"mainspring signal rows-came --run {news}"
    assert (event.until, clock.kind, clock.command) == (None, "wait", "")
    inner = halt(both, within)
    assert inner is not None
    assert (inner.run, inner.command.split()[2]) == (child, child), "the other run's step waits"
    assert halt(both, over) is None

    waits = {yes, news, time_, within, child}
    assert found(both, status="waiting") == found(both, "status = 'waiting'") == waits
    assert found(both, status="running") == waits, "they have not ended"
    assert found(both, "status != 'waiting'") == {over}
    assert found(both, "status in ('waiting', 'finished') and not parent is not null") == (
        waits | {over}
    ) - {child}
    assert found(both, "status not in ('waiting', 'failed')") == {over}
    assert found(both, status="interrupted") == set()
    [line] = [
        one for one in pipelines.every_pipeline(both.ws) if one.ran.pipeline.endswith(":told")
    ]
    assert line.past[0].standing == "waiting"

    waiting.signal(both.ws, news, "rows-came", 1)
    assert halt(both, news) is None, "it goes on in a moment"
    both.settle()
    assert news not in found(both, status="waiting")


def test_a_run_that_is_worked_on_beside_its_wait_is_running(shapes: Any) -> None:
    run = running.start_run(shapes.ws, "beside", {})
    shapes.ws.clock.turn(1.0)
    assert halt(shapes, run) is None, "it was started a second ago"

    def take(tx: Any) -> Any:
        return leases.claim(tx, "worker:1", 60.0, shapes.ws.clock.now(), group=run)

    lease = shapes.ws.write(Permission.RUN, take)
    shapes.ws.clock.turn(3600.0)
    assert halt(shapes, run) is None, "somebody holds a lease on its step"
    shapes.ws.write(Permission.RUN, lambda tx: leases.release(tx, lease, NOW))
    left = halt(shapes, run)
    assert left is not None
    assert (left.state, left.command) == ("interrupted", f"mainspring resume {run}")
    assert found(shapes, status="interrupted") == {run}
    engine = {"pid": 1, "at": shapes.ws.clock.now(), "troubles": {}}
    (shapes.ws.home / "run").mkdir(exist_ok=True)
    processes.write_json(shapes.ws.home / "run" / "engine.json", engine)
    assert halt(shapes, run) is None, "an engine is up and comes to it"
    shapes.ws.clock.turn(60.0)
    assert halt(shapes, run) is not None, "and that one has gone as well"


def test_whose_driver_was_killed_is_interrupted_at_once_and_resumed(tmp_path: Path) -> None:
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    ws = open_workspace(settings)
    ws._started.append(InProcess())
    shapes = Shapes(ws, tmp_path / "project")
    run = running.start_run(ws, "squares", {"count": 2})
    driver = [
        sys.executable,
        str(Path(__file__).parent / "driver.py"),
        settings.root,
        settings.home,
    ]
    killed = json.dumps(["step.started:2"])
    done = subprocess.run([*driver, run, killed], check=True, timeout=300, stdout=subprocess.PIPE)
    assert json.loads(done.stdout) == [-9]
    told = halt(shapes, run)
    assert told is not None
    assert told.state is HaltState.INTERRUPTED
    assert told.command == f"mainspring resume {run}"
    assert told.since is not None
    running_ = ws.read(Permission.READ, lambda tx: tasks.group_state(tx, run))
    assert running_["leased"] == 1, "nothing was written of it: it is seen"
    done = subprocess.run([*driver, run, '[""]'], check=True, timeout=300, stdout=subprocess.PIPE)
    assert json.loads(done.stdout) == [0]
    assert halt(shapes, run) is None
    assert shapes.result(run) == 1
    ws.close()
    projects.close()
