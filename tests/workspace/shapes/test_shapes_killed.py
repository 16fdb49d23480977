"""kill -9 where controllers decide: a decision is kept whole or not at all, and done once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from homes import InProcess
from shapes_home import Shapes

from mainspring.ground.errors import ConflictError
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import callbacks, running
from mainspring.workspace.opening import open_workspace

#: Where each process of a run is killed, one after the other; the last one is let live.
KILLS = ["control.looked:2", "control.decided:1", "control.planted:2", "control.ended:1"]


#: While a graph grows: wired and not kept; being written; kept and none of it begun. As a run
#: starts another; in the second round of an iteration; within the other run, and as its map
#: decides and ends.
DEEP = [
    "control.traced:1",
    "control.planted:1",
    "task.ended:1",
    "control.child_planned:1",
    "step.started:7",
    "step.started:5",
    "control.decided:1",
    "control.ended:1",
]
#: Where steps and controllers may be killed with nothing done twice.
POINTS = (
    "handler.before", "control.looked", "control.decided", "control.traced", "control.planted",
    "control.child_planned", "control.ended", "step.prepared", "step.started",
    "finish.before_commit", "claim.committed", "task.ended",
)  # fmt: skip


@pytest.fixture
def shapes(tmp_path: Path) -> Iterator[Shapes]:
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    ws = open_workspace(settings)
    ws._started.append(InProcess())
    yield Shapes(ws, tmp_path / "project")
    ws.close()
    projects.close()


@pytest.mark.soak
def test_a_run_of_all_shapes_survives_kills_where_controllers_decide(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "everything", {"count": 3})
    assert killed(shapes, run, KILLS) == [-9] * len(KILLS) + [0]
    # 0 + 1 + 4 by the map, 16 by the iteration, what was caught, and the branch that was taken.
    assert shapes.result(run) == [5, 16, "KeyError", "large 25"]
    counts = Counter(shapes.done())
    assert set(counts.values()) == {1}, counts
    assert len(shapes.states(run)) == 10 + 3 + 6 + 2 + 3  # wired, and grown by each controller


def killed(shapes: Shapes, run: str, kills: Sequence[str]) -> list[int]:
    """Carry a run out in processes that are killed at these points; return how each ended."""
    settings, driver = shapes.ws.settings, Path(__file__).parent / "driver.py"
    words = [settings.root, settings.home, run, json.dumps([*kills, ""])]
    done = subprocess.run(
        [sys.executable, str(driver), *words], check=True, timeout=300, stdout=subprocess.PIPE
    )
    codes: list[int] = json.loads(done.stdout)
    return codes


def test_a_graph_that_grows_survives_kills_in_all_its_depths(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "deep", {"count": 3})
    assert killed(shapes, run, DEEP) == [-9] * len(DEEP) + [0]
    assert shapes.result(run) == (0 + 1 + 4) + 16 + (0 + 1)
    counts = Counter(shapes.done())
    # ``plan`` wires anew until what it wired is kept; what was wired is done once.
    assert counts.pop("plan") == 3
    assert counts.pop("numbers") == counts.pop("add") - 1 == 2
    assert set(counts.values()) == {1}, counts
    assert len(shapes.states(run)) == 5 + 4 + 6


#: While a map is planted; is tried again: being written, and kept with none of it begun. While a
#: token is handed out: the wait is being kept; a token is made and not sent; sent and not noted.
CALLED = [
    "control.planted:1",
    "control.again:1",
    "task.ended:1",
    "control.planted:1",
    "step.tokens_made:1",
    "step.ran:1",
]


@pytest.mark.soak
def test_callbacks_and_maps_that_are_tried_again_survive_kills(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "called_and_tried", {})
    assert killed(shapes, run, CALLED) == [-9] * len(CALLED) + [0]
    tokens = (shapes.folder / "tokens.txt").read_text().split()
    assert len(set(tokens)) == len(tokens) == 2, "each try had a token of its own"
    callbacks.answer(shapes.ws, tokens[0], 5)
    for late in tokens:
        with pytest.raises(ConflictError, match="it was used"):
            callbacks.answer(shapes.ws, late, 6)
    assert killed(shapes, run, ["control.ended:1"]) == [-9, 0]
    assert shapes.result(run) == [5, 0 + 2 * 1 + 2 * 4]
    counts = Counter(shapes.done())
    assert [counts[f"flaky {n}"] for n in range(3)] == [1, 3, 1]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_a_graph_that_grows_survives_kills_anywhere(shapes: Shapes, seed: int) -> None:
    draw = random.Random(seed)
    kills = [f"{draw.choice(POINTS)}:{draw.randint(1, 9)}" for _ in range(12)]
    run = running.start_run(shapes.ws, "deep", {"count": 3})
    codes = killed(shapes, run, kills)
    assert codes[-1] == 0
    assert set(codes) <= {-9, 0}
    assert shapes.result(run) == (0 + 1 + 4) + 16 + (0 + 1)
    lost = codes.count(-9)  # a process killed after a step ran, before its end was kept
    counts = Counter(shapes.done())
    assert sum(counts.values()) <= 15 + 3 * lost
    assert len(shapes.states(run)) == 5 + 4 + 6
