"""The starter and the demo's pipeline give the same bytes when they are made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import mainspring
from mainspring.cli import starter
from mainspring.cli.demo import traffic
from mainspring.cli.options import Everywhere
from mainspring.ground.objects import Evidence
from mainspring.pipelines import project as projects
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace
from mainspring.workspace.proofs import remaking, reproducing

DEMO = Path(mainspring.__file__).parent / "cli" / "demo"


@pytest.fixture
def root(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(ws.settings.root)
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)  # calls run in this process, and paths are from the project
    yield folder
    projects.close()


def reproduced(ws: Workspace, pipeline: str, params: dict[str, str]) -> Evidence:
    run = running.start_run(ws, pipeline, params)
    assert engines.drive(ws, run).status == "finished"
    begun = remaking.ask(ws, remaking.Wanted(run=run))
    engines.settle(ws, begun.task)
    _, (again,), _ = reproducing.reproduction(ws, begun.task)
    engines.drive(ws, again)
    _, _, found = reproducing.reproduction(ws, begun.task)
    assert found is not None
    return found


def test_the_starter_reproduces_bit_identically(ws: Workspace, root: Path) -> None:
    count = 300
    rows = pl.DataFrame({"at": range(count), "size": [n * 7 % 23 for n in range(count)]})
    rows = rows.with_columns(
        kind=pl.Series(["small", "large", "odd"] * (count // 3)),
        y=(pl.col("size") > 11).cast(pl.Int64),
        at=pl.datetime(2026, 1, 1) + pl.duration(hours=pl.col("at")),
    )
    rows.write_csv(root / "rows.csv")
    starter.init(root / "rows.csv", target="y", time="at", options=Everywhere(home=str(ws.home)))
    found = reproduced(ws, "rows", {"trees": "3"})
    assert found.found == "all 5 steps gave the same bytes"


@pytest.mark.parametrize("slow", ["false", pytest.param("true", marks=pytest.mark.soak)])
def test_the_demos_pipeline_reproduces_bit_identically(
    ws: Workspace, root: Path, slow: str
) -> None:
    shutil.copy(DEMO / "project" / "project.py", root)
    rows = traffic.flights().head(1_200)
    rows.write_parquet(root / "flights.parquet")
    found = reproduced(ws, "flights", {"trees": "2", "slow": slow})
    assert found.found == "all 5 steps gave the same bytes"
