"""The homes of :mod:`alarm_homes`, on each database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.workspace.opening import open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from alarm_homes import NOW, Home


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home on each database."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    yield from _home(tmp_path, url)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield from _home(tmp_path, None)


def _home(tmp_path: Path, database: str | None) -> Iterator[Home]:
    settings = Settings(
        root=str(tmp_path), home=str(tmp_path / "home"), database=database,
        webhook_hosts=["127.0.0.1"],
    )  # fmt: skip
    ws = open_workspace(settings, clock=TurnedClock(NOW))
    yield Home(ws)
    ws.close()
