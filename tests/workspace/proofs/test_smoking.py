"""A smoke run shows that a pipeline works on a sample, and leaves nothing that could serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.permissions import Permission
from mainspring.pipelines import project as projects
from mainspring.readiness import evidence
from mainspring.web.api import call
from mainspring.workspace import engines, registering, running
from mainspring.workspace.opening import Workspace
from mainspring.workspace.proofs import smoking

PROJECT = """
import polars as pl

import mainspring as ms


@ms.step
def load() -> pl.DataFrame:
    return pl.DataFrame({"a": range(5000), "y": [n % 500 == 0 for n in range(5000)]})


@ms.step
def count(rows: pl.DataFrame) -> list[int]:
    if rows["y"].n_unique() < 2:
        raise ValueError("there is nothing to learn")
    return [rows.height, int(rows["y"].sum())]


@ms.pipeline
def tide(broken: bool = False):
    return count(load())
"""


@pytest.fixture
def project(ws: Workspace) -> Path:
    root = Path(ws.settings.root)
    root.mkdir(exist_ok=True)
    (root / "project.py").write_text(PROJECT)
    yield root
    projects.close()


def result(ws: Workspace, run: str) -> list[int]:
    import msgspec

    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    found: list[int] = msgspec.json.decode(ws.objects.get(steps[-1].output))
    return found


def newest(ws: Workspace):
    return ws.read(
        Permission.READ, lambda tx: evidence.newest(tx, "smoke", "pipeline:project:tide")
    )


def test_a_smoke_run_is_small_leaves_evidence_and_no_real_run_reuses_it(
    ws: Workspace, project: Path
) -> None:
    run = smoking.start(ws, "tide", {}, 100)
    assert engines.drive(ws, run).status == "finished"
    rows, ones = result(ws, run)
    assert 100 <= rows <= 200
    assert ones == 10, "the rare value stays"
    found = newest(ws)
    assert found.passed
    assert found.found.startswith("all 2 steps ran on 100 rows in ")
    assert found.opens == [f"run:{run}"]

    real = running.start_run(ws, "tide")
    engines.drive(ws, real)
    assert result(ws, real) == [5000, 10]
    record, steps = ws.read(Permission.READ, lambda tx: running.state(tx, real))
    assert {step.state for step in steps} == {"done"}
    assert (record.experiment, found.code) == ("tide", record.tags[running.CODE])
    again = smoking.start(ws, "tide", {}, 100)
    engines.drive(ws, again)
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, again))
    assert {step.state for step in steps} == {"reused"}


def test_a_smoke_run_that_breaks_is_evidence_against_the_pipeline(
    ws: Workspace, project: Path
) -> None:
    (project / "project.py").write_text(PROJECT.replace("n % 500 == 0", "False"))
    run = smoking.start(ws, "tide", {}, 100)
    assert engines.drive(ws, run).status == "failed"
    found = newest(ws)
    assert found.passed is False
    assert "count did not end well" in found.found
    assert "nothing to learn" in found.found


def test_nothing_of_a_smoke_run_becomes_a_version(ws: Workspace, project: Path) -> None:
    run = smoking.start(ws, "tide", {}, 50)
    engines.drive(ws, run)
    with pytest.raises(ConflictError, match="is a smoke run"):
        ws.read(
            Permission.READ,
            lambda tx: running.version_of(ws, tx, run, "tide", None, None, "c"),
        )
    with pytest.raises(ConflictError, match="is a smoke run"):
        registering.version_of_files(ws, "tide", {}, "runs:/x", run=run)
    with pytest.raises(BadInputError, match="registers nothing"):
        call(ws, "pipelines.run", pipeline="tide", smoke=50, register="tide")


@pytest.mark.parametrize("rows", [0, 19, 100_001])
def test_a_sample_has_a_sensible_size(ws: Workspace, rows: int) -> None:
    with pytest.raises(BadInputError, match="takes 20 to 100,000 rows"):
        smoking.start(ws, "tide", {}, rows)
