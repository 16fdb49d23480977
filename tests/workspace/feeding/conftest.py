"""A small model that answers elsewhere, and the rows it answered."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Window
from mainspring.ground.settings import Settings
from mainspring.workspace.catching_up import catch_up
from mainspring.workspace.feeding import declared, taking
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from world import NOW, POLICY, answered


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a monitor named fraud, to be copied."""
    root = tmp_path_factory.mktemp("watched")
    settings = Settings(root=str(root / "project"), home=str(root / "home"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    declared.create(found, "fraud", baseline=answered(4_000, 0), policy=POLICY)
    found.close()
    return root / "home"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    yield found
    found.close()


@pytest.fixture
def fraud(watched: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A home with a monitor named fraud, a baseline and windows of a day."""
    shutil.copytree(watched, tmp_path / "watched")
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "watched"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    yield found
    found.close()


def _home(request: pytest.FixtureRequest) -> Workspace:
    name = "fraud" if "fraud" in request.fixturenames else "ws"
    found: Workspace = request.getfixturevalue(name)
    return found


@pytest.fixture
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., taking.Fed]:
    """Return a function that feeds a frame, to the home that the test has."""
    ws = _home(request)
    numbers = iter(range(1000))

    def work(rows: pl.DataFrame, endpoint: str = "fraud", **more) -> taking.Fed:
        file = tmp_path / f"rows-{next(numbers)}.parquet"
        rows.write_parquet(file)
        return taking.feed(ws, endpoint, file, **more)

    return work


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[..., list[Window]]:
    ws = _home(request)
    return lambda endpoint="fraud": catch_up(ws, endpoint)
