"""Maps of thousands of items, and branches that are stopped: each step in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shapes_home import Shapes

from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.workspace import engines, running
from mainspring.workspace.opening import open_workspace


@pytest.fixture
def shapes(tmp_path: Path) -> Iterator[Shapes]:
    ws = open_workspace(Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home")))
    yield Shapes(ws, tmp_path / "project")
    ws.close()
    projects.close()


@pytest.mark.soak
def test_two_thousand_items_with_a_limit_and_a_share_that_fails(shapes: Shapes) -> None:
    for number in range(0, 2000, 40):
        shapes.break_(f"square-{number}")
    params = {"count": 2000, "limit": 8, "tolerate": 0.025}
    run = running.start_run(shapes.ws, "squares", params)
    assert engines.drive(shapes.ws, run).status == "finished"
    assert shapes.result(run) == sum(n * n for n in range(2000) if n % 40)
    assert len(shapes.done()) == 2000 + 2


@pytest.mark.soak
def test_what_a_branch_that_failed_stops_is_killed_with_all_it_began(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "one_sleeps", {})
    assert engines.drive(shapes.ws, run).status == "failed"
    assert shapes.states(run)["sleeps"] == "skipped"
    assert "awake" not in shapes.done()
