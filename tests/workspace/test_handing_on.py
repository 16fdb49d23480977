"""What real steps hand on, each in a process of its own, and what may be read in another home."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mainspring as ms
from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError, ProjectError
from mainspring.ground.objects import RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import context
from mainspring.pipelines.outputs import pickled
from mainspring.workspace import engines, running
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import os
from dataclasses import dataclass
from datetime import date
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
def halves(n: int) -> tuple[pl.DataFrame, dict]:
    rows = pl.DataFrame({"x": range(n)})
    return rows, {"n": n, "odd": {"weight": Odd(n)}, "when": date(2026, 1, n)}


@ms.step
def whole(rows: pl.DataFrame, n: int, odd: Odd, item: str, when: date) -> str:
    return f"{rows.height} {n} {odd.weight} {item} {when}"


@ms.step
def told(text: list) -> str:
    return text[0]


@ms.pipeline
def parted(n: int = 3):
    rows, facts = halves(n)
    one = ms.map(
        lambda item: whole(rows, facts["n"], facts["odd"]["weight"], item["name"], facts["when"]),
        over=[{"name": "only"}],
    )
    return told(one)


@ms.pipeline
def nothing_there(n: int = 3):
    return told(halves(n)[2])


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


@pytest.fixture
def unloaded() -> Iterator[None]:
    """Forget the project that a result's class was imported from: others are called so too."""
    sys.modules.pop("project", None)
    yield
    sys.modules.pop("project", None)


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
        line = PROJECT[: PROJECT.index("def odd(")].count("\n")  # of its decorator
        assert f"{tmp_path / 'project.py'}:{line}: PickledWarning: Step odd" in log
        assert "outputs/" not in log

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


def test_a_part_of_a_result_is_handed_on_alone_and_read_afterwards(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    with opened(tmp_path, "home") as ws:
        status, steps = run(ws, "parted")
        assert status is RunStatus.FINISHED, [(s.step, s.error, s.trace) for s in steps.values()]
        assert ms.result(home=ws.home) == "3 3 3 only 2026-01-03"
        assert steps["halves.0"].output_type == "frame"
        [taker] = [one for one in steps.values() if one.step.endswith(".whole")]
        assert steps["halves.0"].output == taker.inputs["rows"]
        again, _ = run(ws, "parted")
        assert again is RunStatus.FINISHED
        status, steps = run(ws, "nothing_there")
        assert status is RunStatus.FAILED
        assert "there is no part 2" in steps["halves.2"].error


@pytest.mark.usefixtures("unloaded")
def test_a_class_is_that_of_the_runs_project_where_another_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    with opened(tmp_path, "home") as ws:
        run(ws, "all_of_it")
        home = ws.home
    other = tmp_path / "other"
    other.mkdir()
    (other / "project.py").write_text("class Split:\n    pass\n")
    monkeypatch.syspath_prepend(other)
    loaded = importlib.import_module("project")
    made = ms.result("last", "make", home=home)
    assert made["split"].seed == 7
    assert type(made["split"]) is not loaded.Split
    assert sys.modules["project"] is loaded, "it is set aside for the moment only"


@pytest.mark.usefixtures("unloaded")
def test_what_steps_returned_is_read_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    with opened(tmp_path, "home") as ws:
        run(ws, "all_of_it")
        home, found = ws.home, ws.read(Permission.READ, lambda tx: runs.newest_of_pipelines(tx))
    assert found is not None
    assert ms.result(home=home) == "aaa 3 7 3"
    made = ms.result(found, "make", home=home, to=tmp_path / "here")
    assert (made["folder"] / "deep" / "a.txt").read_text() == "aaa"
    assert made["folder"].is_relative_to(tmp_path / "here")
    assert (made["split"].seed, type(made["split"]).__name__) == (7, "Split")
    assert ms.result(found.id[:12], "odd", home=home).weight == 3
    with pytest.raises(NotFoundError, match="has no step 'mak'") as refused:
        ms.result("last", "mak", home=home)
    assert "make" in str(refused.value.hint)
    with pytest.raises(NotFoundError, match="No run 'run_00000000'"):
        ms.result("run_00000000", home=home)
    with pytest.raises(BadInputError, match="as its id, as 'last' or as a Run, found 7"):
        ms.result(7, home=home)  # type: ignore[arg-type]  what somebody could write
    with pytest.raises(NotFoundError, match="at least 8 characters"):
        ms.result("run", home=home)
    with opened(tmp_path, "home") as ws:
        run(ws, "breaks")
    with pytest.raises(ConflictError, match="has no output"):
        ms.result(home=home)
    monkeypatch.setenv("MAINSPRING_URL", "http://127.0.0.1:1")
    with pytest.raises(BadInputError, match="read on the home itself"):
        ms.result()
    inside = context.StepContext("run", "fit", None)  # type: ignore[arg-type]
    with context.entered(inside), pytest.raises(ProjectError, match="Step fit asks"):
        ms.result(home=home)
