"""Every kind of controller on both databases: one story, for the SQL of growing is both's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import NOW, InProcess
from shapes_home import Shapes

from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import running, waiting
from mainspring.workspace.opening import open_workspace

#: On SQLite each of these has a test of its own; the story as a whole is for the soak there.
BOTH = [pytest.param("sqlite", marks=pytest.mark.soak), "postgresql"]


@pytest.fixture(params=BOTH)
def shapes(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[..., str]
) -> Iterator[Shapes]:
    database = new_database(laid_out=True) if request.param == "postgresql" else None
    root, home = str(tmp_path / "project"), str(tmp_path / "home")
    ws = open_workspace(Settings(root=root, home=home, database=database), clock=TurnedClock(NOW))
    ws._started.append(InProcess())
    yield Shapes(ws, tmp_path / "project")
    ws.close()
    projects.close()


def test_maps_branches_rounds_catches_sub_runs_waits_and_what_stops_them(shapes: Shapes) -> None:
    # A map, an iteration, a catch and a branch; then a dynamic graph and a run of its own.
    assert shapes.result(shapes.start("everything", count=3)) == [5, 16, "KeyError", "large 25"]
    assert shapes.result(shapes.start("planned", count=3)) == 0 + 1 + 4
    assert shapes.result(shapes.start("picked", number=2)) == "four 4"
    shapes.break_("square-3")
    run = shapes.start("outer", number=2)
    assert "items failed" in shapes.error(run, "squares")
    tolerant = shapes.start("told_of", count=4, tolerate="25%", rest="stop")
    assert shapes.result(tolerant)[1] == [[3, "each[3].square", "ValueError"]]
    stopped = shapes.start("told_of", count=5, tolerate="0%", rest="stop")
    assert shapes.states(stopped)["each[4].square"] == "skipped"
    shapes.break_("square-3", mend=True)
    for again, result in ((run, 14**2), (stopped, [2 * (0 + 1 + 4 + 9 + 16), []])):
        shapes.resume(again)
        assert shapes.result(again) == result
    beside = shapes.start("beside")
    assert shapes.states(beside)["never"] == "skipped"
    # What waits: told early, told in time, and given up.
    run = running.start_run(shapes.ws, "called_back", {})
    waiting.signal(shapes.ws, run, "labelled", 7)
    shapes.settle()
    assert shapes.result(run) == 7
    run = shapes.start("asked", expires="1h", on_expiry="continue")
    assert [one.step for one in waiting.waiting(shapes.ws)] == ["release"]
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert shapes.result(run) == "kept 9"
