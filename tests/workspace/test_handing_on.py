"""What real steps hand on, each in a process of its own, and what may be read in another home."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mainspring.ground.objects import RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines.outputs import pickled
from mainspring.workspace import engines, running
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from sklearn.linear_model import LinearRegression

import mainspring as ms


class Odd:
    def __init__(self, weight):
        self.weight = weight


@dataclass
class Split:
    rows: pd.DataFrame
    seed: int


@ms.step
def make(n: int) -> dict:
    folder = Path(os.environ["MAINSPRING_HOME"], "..", "made").resolve()
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "deep" / "a.txt").write_text("a" * n)
    model = LinearRegression().fit(np.arange(n)[:, None], np.arange(n))
    rows = pd.DataFrame({"x": range(n)}, index=[f"row {i}" for i in range(n)])
    return {"folder": folder, "model": model, "split": Split(rows, 7)}


@ms.step
def odd(n: int) -> Odd:
    return Odd(n)


@ms.step
def lazy(n: int) -> pl.LazyFrame:
    return pl.LazyFrame({"x": range(n)})


@ms.step
def join(made: dict, other: Odd, rows: pl.LazyFrame, again) -> str:
    text = (made["folder"] / "deep" / "a.txt").read_text()
    assert isinstance(made["model"], LinearRegression)
    assert made["split"].rows.index[0] == "row 0"
    assert isinstance(rows, pl.LazyFrame) and isinstance(again, pl.LazyFrame)
    total = rows.select(pl.col("x").sum()).collect().item()
    return f"{text} {other.weight} {made['split'].seed} {total}"


@ms.pipeline
def all_of_it(n: int = 3):
    rows = lazy(n)
    return join(make(n), odd(n), rows, rows)


@ms.step
def wrong(n: int) -> pl.DataFrame:
    return "text"


@ms.pipeline
def breaks():
    return wrong(1)
"""


@contextlib.contextmanager
def opened(place: Path, name: str) -> Iterator[Workspace]:
    settings = Settings(root=str(place), home=str(place / name), capture=False)
    with contextlib.closing(open_workspace(settings)) as ws:
        yield ws


def run(ws: Workspace, pipeline: str) -> tuple[RunStatus, dict[str, StepRecord]]:
    started = running.start_run(ws, f"project:{pipeline}", {})
    record = engines.drive(ws, started)
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, started))
    return record.status, {one.step: one for one in steps}


def test_values_of_every_kind_are_handed_on_and_pickles_stay_at_home(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    with opened(tmp_path, "home") as ws:
        status, steps = run(ws, "all_of_it")
        assert status is RunStatus.FINISHED, [(s.step, s.error, s.trace) for s in steps.values()]
        assert ws.objects.get(str(steps["join"].output)) == b"aaa 3 7 3"
        assert (steps["make"].output_type, steps["lazy"].output_type) == ("parts", "lazy")
        assert str(steps["odd"].output_type).startswith("pickle@")
        log = ws.objects.get(str(steps["odd"].log)).decode()
        assert log.count("Step odd returned a project.Odd, which was kept by pickle") == 1
        assert "make Odd a dataclass" in log

        again = run(ws, "all_of_it")[1]
        assert {one.state for one in again.values()} == {"reused"}

        packed = tmp_path / "all.zip"
        export(ws, packed)
        key = (ws.home / pickled.KEY).read_bytes()
        assert key not in packed.read_bytes()
        assert all(key not in ws.objects.get(kept.digest) for kept in ws.objects.each())

    with opened(tmp_path, "other") as ws:
        take_in(ws, packed)
        status, steps = run(ws, "all_of_it")
        assert status is RunStatus.FINISHED
        ran = {one.step for one in steps.values() if one.state == "done"}
        # The pickle is made anew, by this home, and so is what was made of it.
        assert ran == {"odd", "join"}

        broken = run(ws, "breaks")
        assert broken[0] is RunStatus.FAILED
        error = broken[1]["wrong"].error
        assert error.startswith(
            "Step wrong returned a value of type str, and its function says that it returns"
            " polars.DataFrame."
        )
