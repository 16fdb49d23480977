"""Steps and pipelines are tried as the engine would run them, with and without processes."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError, ContractError, ProjectError, StepFailedError
from mainspring.pipelines import project as projects
from mainspring.testing import TurnedClock, assert_reproducible, home, run_pipeline, run_step
from mainspring.workspace import opening

PROJECT = """
import polars as pl

import mainspring as ms


@ms.step
def load(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"a": range(rows)})


@ms.step
def split(rows: pl.DataFrame, share: float) -> dict[str, pl.DataFrame]:
    middle = int(rows.height * share)
    return {"learn": rows.head(middle), "test": rows.tail(rows.height - middle)}


@ms.step
def count(parts: dict[str, pl.DataFrame], more: list[int]) -> int:
    if parts["learn"].height == 0:
        raise ValueError("nothing to learn from")
    ms.log(learn=parts["learn"].height)
    return parts["learn"].height + parts["test"].height + sum(more)


@ms.pipeline
def tide(rows: int = 1000, share: float = 0.8):
    table = load(rows)
    return count(split(table, share), [1, 2])
"""


@pytest.fixture
def tide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "mainspring.toml").touch()
    (tmp_path / "tidal.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("tidal")
    sys.modules.pop("tidal", None)
    projects.close()


@ms.step(expects=Contract(columns={"a": Expect(type="Integral", low=0)}))
def total(rows: pl.DataFrame, factor: int = 1) -> int:
    ms.log(rows=rows.height)
    return int(rows["a"].sum()) * factor


def test_a_step_is_given_its_inputs_as_the_engine_gives_them() -> None:
    found = run_step(total, rows=pl.DataFrame({"a": [1, 2]}), factor=3)
    assert (found.value, found.type, found.metrics) == (9, "json", {"rows": 2.0})


def test_a_step_is_held_to_its_contract_and_to_what_can_be_kept() -> None:
    with pytest.raises(ContractError, match="Column 'a', range"):
        run_step(total, rows=pl.DataFrame({"a": [-1]}))

    @ms.step
    def odd() -> object:
        return lambda: 1

    with pytest.raises(ProjectError, match="cannot be kept"):
        run_step(odd)
    with pytest.raises(BadInputError, match="cannot be called"):
        run_step(3)


def test_a_step_may_be_a_plain_function_and_take_any_number_of_parts() -> None:
    def join(*, first: pl.DataFrame, second: np.ndarray) -> np.ndarray:
        return first["a"].to_numpy() + second

    found = run_step(join, first=pl.DataFrame({"a": [1, 2]}), second=np.array([1, 1]))
    assert found.value.tolist() == [2, 3]


def test_a_pipeline_runs_on_a_sample_or_on_all(tide: ModuleType) -> None:
    small = run_pipeline(tide.tide)
    assert small.result == 203
    assert list(small.steps) == ["load", "split", "count"]
    assert small.steps["load"].value.height == 200
    assert small.metrics == {"learn": 160.0}
    assert run_pipeline(tide.tide, {"rows": 500}, sample=None).result == 503
    with pytest.raises(ValueError, match="nothing to learn"):
        run_pipeline(tide.tide, {"rows": 0})
    with pytest.raises(BadInputError, match="no parameter 'row'"):
        run_pipeline(tide.tide, {"row": 1})
    with pytest.raises(BadInputError, match="no pipeline"):
        run_pipeline(tide.load)


def test_a_pipeline_runs_in_real_processes_in_a_home_that_is_thrown_away(
    tide: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PRELOAD", ("numpy", "polars", "mainspring.sdk"))  # no model
    clock = TurnedClock(1_000_000.0)
    found = run_pipeline(tide.tide, processes=True, clock=clock)
    assert (found.result, found.metrics["learn"]) == (203, 160.0)
    assert found.steps["load"].digest == run_pipeline(tide.tide).steps["load"].digest
    with pytest.raises(StepFailedError, match=r"count: .*nothing to learn"):
        run_pipeline(tide.tide, {"rows": 0}, sample=None, processes=True)
    assert {one.name for one in tmp_path.iterdir()} <= {
        "mainspring.toml",
        "tidal.py",
        "__pycache__",
    }


def test_a_step_that_draws_without_a_seed_is_found_out() -> None:
    def steady(rows: int) -> pl.DataFrame:
        rng = np.random.default_rng(0)
        return pl.DataFrame({"a": rng.normal(size=rows)})

    def by_numpy(rows: int) -> pl.DataFrame:
        return pl.DataFrame({"n": range(rows), "a": np.random.normal(size=rows)})

    def by_python() -> float:
        return random.random()

    before = random.getstate()
    assert assert_reproducible(steady, rows=5).value.height == 5
    with pytest.raises(AssertionError, match="other bytes at time 2: columns a"):
        assert_reproducible(by_numpy, rows=5)
    with pytest.raises(AssertionError, match=r"first 0\.\d+, then 0\.\d+"):
        assert_reproducible(by_python)
    assert random.getstate() == before


def test_a_home_can_be_had_on_a_clock_that_is_turned() -> None:
    clock = TurnedClock(5.0)
    with home(clock=clock) as ws:
        assert ws.clock.now() == 5.0
        place = Path(ws.settings.home)
        assert place.is_dir()
    assert not place.exists()
