"""A home, and the small model of ours that the tests of feeding have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Window
from mainspring.ground.settings import Settings
from mainspring.workspace.catching_up import catch_up
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "feeding"))

from world import NOW


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    yield found
    found.close()


@pytest.fixture
def judge(ws: Workspace) -> Callable[..., list[Window]]:
    return lambda endpoint: catch_up(ws, endpoint)
