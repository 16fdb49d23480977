"""kill -9 where controllers decide: a decision is kept whole or not at all, and done once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import InProcess
from shapes_home import Shapes

from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import running
from mainspring.workspace.opening import open_workspace

#: Where each process of a run is killed, one after the other; the last one is let live.
KILLS = ["control.looked:2", "control.decided:1", "control.planted:2", "control.ended:1"]


@pytest.fixture
def shapes(tmp_path: Path) -> Iterator[Shapes]:
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    ws = open_workspace(settings)
    ws._started.append(InProcess())
    yield Shapes(ws, tmp_path / "project")
    ws.close()
    projects.close()


def test_a_run_of_all_shapes_survives_kills_where_controllers_decide(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "everything", {"count": 3})
    settings, driver = shapes.ws.settings, Path(__file__).parent / "driver.py"
    words = [settings.root, settings.home, run, json.dumps([*KILLS, ""])]
    done = subprocess.run(
        [sys.executable, str(driver), *words], check=True, timeout=300, stdout=subprocess.PIPE
    )
    assert json.loads(done.stdout) == [-9] * len(KILLS) + [0]
    # 0 + 1 + 4 by the map, 16 by the iteration, what was caught, and the branch that was taken.
    assert shapes.result(run) == [5, 16, "KeyError", "large 25"]
    counts = Counter(shapes.done())
    assert set(counts.values()) == {1}, counts
    assert len(shapes.states(run)) == 10 + 3 + 6 + 2 + 3  # wired, and grown by each controller
