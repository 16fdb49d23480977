"""A home with the project of shapes, in this process and on a clock that is turned."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shapes_home import Shapes

from mainspring.pipelines import project as projects
from mainspring.workspace.opening import Workspace


@pytest.fixture
def shapes(ws: Workspace) -> Iterator[Shapes]:
    yield Shapes(ws, Path(ws.settings.root))
    projects.close()
