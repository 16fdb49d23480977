"""What the tests of the workspace share: homes, a served loop, and a nursery of engines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.backends.objects import open_objects
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from homes import LOOP, NOW, InProcess, add_version, settle, work_as_engine
from whole_loop import Nursery, rows_of


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A warm process that forks engines."""
    with Nursery() as found:
        yield found


@pytest.fixture
def executor() -> InProcess:
    return InProcess()


@pytest.fixture
def ws(tmp_path: Path, executor: InProcess) -> Iterator[Workspace]:
    """A home of its own, on a clock that is turned; calls run in this process."""
    settings = Settings(root=str(tmp_path / "project"), home=str(tmp_path / "home"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    found._started.append(executor)
    yield found
    found.close()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Two packaged models, ``good`` and ``bad``, and the folder of their objects."""
    folder = tmp_path_factory.mktemp("objects")
    objects = open_objects(str(folder))
    columns, truth, times = rows_of(0)
    made = {}
    for name, labels in (("good", truth), ("bad", 1 - truth)):
        rows = pl.DataFrame({**columns, "y": labels, "t": times})
        model = Model(LogisticRegression(), "y", "binary", columns=["a", "b"], time="t")
        made[name] = package.write(model.fit(rows.head(180), holdout=rows.tail(60)), objects)
    return folder, made


@pytest.fixture
def served(ws: Workspace, packages: tuple[Path, dict[str, str]]) -> Workspace:
    """A declared loop with versions 1 (champion), 2 (passed, bad) and 3 (refused, bad)."""
    folder, made = packages
    shutil.copytree(folder, ws.settings.objects_url, dirs_exist_ok=True)
    for number in (1, 2, 3):
        add_version(ws, number, made["good" if number == 1 else "bad"], passed=number < 3)
    work_as_engine(ws, lambda tx: registry.promote(tx, "tide", 1, reason="First.", at=NOW))
    acts.declare(ws, LOOP)
    settle(ws)
    return ws
