"""A lazy frame is streamed from step to step: the memory of a step does not grow with the rows.

Measured in real step processes, as the peak beyond that of a step which does nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.workspace.capped import capped, killed_for_memory, peak, run_in

from mainspring.backends.executors.local import LocalExecutor
from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.ports import Call, Outcome
from mainspring.workspace import contracts

PROJECT = """
from pathlib import Path

import polars as pl

import mainspring as ms


@ms.step
def nothing() -> int:
    return 1


@ms.step
def clean(folder: str) -> pl.LazyFrame:
    return pl.scan_parquet(f"{folder}/*.parquet").filter(pl.col("a") > -3).with_columns(
        c=pl.col("a") * pl.col("b")
    )


@ms.step(expects=ms.Contract(columns={"a": ms.Expect(low=-3)}))
def total(rows: pl.LazyFrame) -> dict:
    return rows.select(pl.col("c").sum(), n=pl.len()).collect(engine="streaming").row(
        0, named=True
    )


@ms.step
def parts(rows: pl.LazyFrame, into: str) -> Path:
    rows.filter(pl.col("b") > 0).sink_parquet(Path(into, "0.parquet"))
    return Path(into)
"""


class Steps:
    """Runs steps of the project as the engine would, and tells their peaks."""

    def __init__(self, place: Path, env: dict[str, str]) -> None:
        (place / "project.py").write_text(PROJECT)
        self.place, self.env = place, env
        self.executor = LocalExecutor(
            run_dir=place / "run", preload=("numpy", "polars", "mainspring.workspace.children")
        )

    def run(self, step: str, **args: Any) -> Outcome:
        outcome = self.executor.run(
            Call(
                target="mainspring.workspace.children:step",
                payload={
                    "root": str(self.place),
                    "target": f"project:{step}",
                    "step": step,
                    "run": "run_a",
                    "args": args,
                    "objects": str(self.place / "objects"),
                },
                cwd=str(self.place),
                path=[str(self.place)],
                env={"MAINSPRING_HOME": str(self.place), **self.env},
            )
        )
        assert outcome.ok, (outcome.error, outcome.trace)
        return outcome


def given(outcome: Outcome) -> dict[str, str]:
    return {"digest": outcome.value["output"], "type": outcome.value["output_type"]}


def write(folder: Path, files: int, rows: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(files):
        frame = pl.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
        frame.write_parquet(
            folder / f"{number:03}.parquet", compression="uncompressed", row_group_size=100_000
        )


def through(place: Path, env: dict[str, str]) -> dict[str, float]:
    """Run a chain of steps over a folder of Parquet; return the peak of each beyond nothing."""
    steps = Steps(place, env)
    try:
        base = steps.run("nothing").peak_mb
        cleaned = steps.run("clean", folder={"value": str(place / "set")})
        assert given(cleaned)["type"] == "lazy"
        summed = steps.run("total", rows=given(cleaned))
    finally:
        steps.executor.close()
    outcomes = {"clean": cleaned, "total": summed}
    return {name: one.peak_mb - base for name, one in outcomes.items()}


#: As many threads as there are hold row groups at once: two say the same on every machine.
FEW = {"POLARS_MAX_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}


def test_the_same_rows_are_the_same_bytes_whatever_reads_them(tmp_path: Path) -> None:
    write(tmp_path / "set", files=2, rows=200_000)
    digests = set()
    for threads in ("1", "3"):
        steps = Steps(tmp_path, {**FEW, "POLARS_MAX_THREADS": threads})
        try:
            cleaned = steps.run("clean", folder={"value": str(tmp_path / "set")})
            digests.add(given(cleaned)["digest"])
            (tmp_path / threads).mkdir()
            put = steps.run("parts", rows=given(cleaned), into={"value": str(tmp_path / threads)})
            assert given(put)["type"] == "folder"
            # A folder of parts is scanned where its objects lie, as one lazy frame.
            assert steps.run("total", rows=given(put)).value["output_type"] == "json"
        finally:
            steps.executor.close()
    assert len(digests) == 1


def test_a_step_over_much_data_holds_little_of_it(tmp_path: Path) -> None:
    write(tmp_path / "set", files=5, rows=4_000_000)  # 320 MB
    peaks = through(tmp_path, FEW)
    assert max(peaks.values()) < 250, peaks  # 480 MB if it were held; 70 to 170 were measured


#: The whole command: what starts the steps, and the steps.
PIPELINE = """

@ms.step
def both(of: dict, put: Path) -> dict:
    return {**of, "files": len(list(put.iterdir()))}


@ms.pipeline
def large(folder: str = ""):
    rows = clean(folder)
    return both(total(rows), parts(rows, into="parts"))
"""


@pytest.mark.soak
def test_a_pipeline_over_3_gb_runs_where_a_gigabyte_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT + PIPELINE)
    (tmp_path / "parts").mkdir()
    write(tmp_path / "set", files=48, rows=4_000_000)
    size = sum(one.stat().st_size for one in (tmp_path / "set").iterdir())
    assert size > 3_000_000_000
    with capped(1 << 30) as group:
        greedy = run_in(group, [sys.executable, "-c", "held = b'x' * (2 << 30)"])
        assert greedy.returncode == -9, "the limit holds nobody"
        assert killed_for_memory(group) == 1
    with capped(1 << 30) as group:
        ran = run_in(
            group,
            [
                *(sys.executable, "-m", "mainspring", "run", "project:large", "--json"),
                *("--param", f"folder={tmp_path / 'set'}"),
            ],
            cwd=tmp_path,
            env={**os.environ, **FEW, "MAINSPRING_HOME": str(tmp_path / "home")},
        )
        assert ran.returncode == 0, (ran.stdout[-2000:], ran.stderr[-2000:])
        assert killed_for_memory(group) == 0
        assert peak(group) <= 1 << 30
    assert sum(1 for _ in (tmp_path / "parts").iterdir()) == 1


def test_a_contract_is_checked_against_a_lazy_frame_portion_by_portion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = Contract(columns={"n": Expect(low=0)})
    frame = pl.LazyFrame({"n": range(300_000)})
    monkeypatch.setattr(
        "mainspring.experiments.tabular.frame_of", lambda *_: pytest.fail("it was read whole")
    )
    assert contracts.check(frame, contract).passed
    found = contracts.check(frame.with_columns(n=-pl.col("n")), contract)
    assert [one.check for one in found.violations] == ["range"]
