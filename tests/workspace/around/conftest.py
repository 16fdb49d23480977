"""A project with a training script that knows nothing of us, and a loop around it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from training_scripts import LOOP, SCRIPT
from whole_loop import rows_of

from mainspring.ground.objects import LoopSpec
from mainspring.pipelines import project
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace


@pytest.fixture
def root(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project: a file of rows, and a script to come."""
    monkeypatch.setenv("MAINSPRING_HOME", ws.settings.home)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MAINSPRING_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = Path(ws.settings.root)
    folder.mkdir()
    (folder / "mainspring.toml").write_text("")
    parts = []
    for day in range(-10, 0):
        columns, truth, times = rows_of(day)
        parts.append(pl.DataFrame({**columns, "y": truth, "t": times}))
    pl.concat(parts).write_csv(folder / "data.csv")
    return folder


@pytest.fixture
def close(ws: Workspace, root: Path) -> Callable[..., LoopSpec]:
    """Write a script of a kind and the loop around it; declare it unless told not to."""

    def write(script: dict[str, str], more: str = "", *, declare: bool = True) -> LoopSpec:
        (root / "train.py").write_text(SCRIPT.format(**script))
        (root / "project.py").write_text(LOOP.format(more=more))
        [spec] = project.find_loops(root)
        if declare:
            acts.declare(ws, spec)
        return spec

    return write
