"""A small world to judge versions in, each broken in exactly one way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from judged import House

from mainspring.workspace.opening import Workspace


@pytest.fixture
def house(ws: Workspace) -> House:
    return House(ws)
