"""A version is made again from its record: the same bytes, alike, or which step differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from homes import work_as_engine

from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.objects import Evidence, Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.pipelines import project as projects
from mainspring.readiness import evidence, registry
from mainspring.web.api import call
from mainspring.workspace import engines, running
from mainspring.workspace.data import adding
from mainspring.workspace.opening import Workspace
from mainspring.workspace.proofs import reproducing

PROJECT = """
import os
from pathlib import Path

import polars as pl

import mainspring as ms

HERE = Path(__file__).parent


@ms.step(cache=False)
def load(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"a": range(rows)})


@ms.step
def train(rows: pl.DataFrame, name: str | None = None) -> str:
    noise = (HERE / "noise").read_text() if (HERE / "noise").exists() else "0"
    ms.log(auc=0.8 + float(noise), loss=0.1)
    return f"model of {rows.height} {noise}"


@ms.step
def check(model: str) -> bool:
    return len(model) > 0


@ms.pipeline
def tide(rows: int = 3, name: str | None = None):
    model = train(load(rows), name)
    check(model)
    return model
"""


SHAPES = """

@ms.step
def plus(one: int) -> int:
    return one + 1


@ms.step
def lines(table: Path, number: int) -> int:
    return len(table.read_text().splitlines()) + number


@ms.step
def total(parts: list) -> int:
    return sum(parts)


@ms.step
def listed(count: int) -> list[int]:
    return list(range(count))


@ms.dynamic
def grown(numbers: list[int]) -> int:
    inner = ms.map(lambda one: lines(ms.data("table"), one), over=numbers, name="inner")
    return total([lines(ms.data("table"), 7), total(inner)])


@ms.pipeline
def few():
    return lines(ms.data("table"), 1)


@ms.pipeline
def shaped():
    nothing = ms.map(plus, over=listed(0))
    each = ms.map(lambda one: lines(ms.data("table"), one), over=[5], name="each")
    return total([total(nothing), total(each), grown([1]), ms.run_pipeline(few)])
"""


@pytest.fixture
def project(ws: Workspace) -> Path:
    root = Path(ws.settings.root)
    root.mkdir(exist_ok=True)
    (root / "project.py").write_text(PROJECT)
    yield root
    projects.close()


@pytest.fixture
def version(ws: Workspace, project: Path) -> Version:
    """A version as the run of a pipeline with a param makes it."""
    return made(ws, "tide", {"rows": "5"})


def made(ws: Workspace, pipeline: str, params: dict[str, str]) -> Version:
    run = running.start_run(ws, pipeline, params)
    assert engines.drive(ws, run).status == "finished"

    def work(tx) -> Version:
        code = experiments.get(tx, run).tags[running.CODE]
        made = Version(
            model="tide",
            number=0,
            run=run,
            package="0" * 64,
            signature=Signature(columns=[], kind="binary", target="y"),
            card=None,
            metrics={},
            created=0.0,
            by="ada",
            code=code,
        )
        return registry.register(tx, made)

    return work_as_engine(ws, work)


def made_again(ws: Workspace, count: int = 1, between: Callable[[], None] | None = None):
    begun = reproducing.start(ws, "tide", 1, count=count)
    for run in begun.runs:
        engines.drive(ws, run)
        if between is not None:
            between()
    task, _, found = reproducing.reproduction(ws, begun.task)
    assert task.state == "done"
    assert found is not None
    return found


def test_the_same_bytes_of_every_step_are_identical(ws: Workspace, version: Version) -> None:
    found = made_again(ws, count=2)
    assert (found.passed, found.detail["verdict"]) == (True, "identical")
    assert found.found == "all 3 steps gave the same bytes, 2 times"
    assert found.subject == "tide/1"
    assert found.code == version.code
    assert found.opens[0] == f"run:{version.run}"
    assert len(found.opens) == 3
    again = ws.read(Permission.READ, lambda tx: running.state(tx, found.opens[1][4:]))
    assert {step.state for step in again[1]} == {"done"}, "nothing is reused"
    assert again[0].params == {"rows": "5"}
    kept = ws.read(Permission.READ, lambda tx: evidence.newest(tx, "reproduced", "tide/1"))
    assert kept == found


def test_a_map_over_nothing_and_a_graph_that_grew_on_data_are_made_again_as_they_were(
    ws: Workspace, project: Path, tmp_path: Path
) -> None:
    """What the empty map wires was never planted; the data has a newer version by now."""
    (project / "project.py").write_text(PROJECT + SHAPES)
    (tmp_path / "table.csv").write_text("a\n1\n2\n")
    adding.add(ws, tmp_path / "table.csv")
    version = made(ws, "shaped", {})
    (tmp_path / "table.csv").write_text("a\n1\n2\n3\n")
    adding.add(ws, tmp_path / "table.csv")
    found = made_again(ws)
    assert (found.passed, found.detail["verdict"]) == (True, "identical"), found.found
    steps = {one["step"] for one in found.detail["steps"]}
    assert {"grown.lines", "each[0].lines", "grown.inner[0].lines", "few"} < steps
    (project / "project.py").write_text(PROJECT + SHAPES.replace("one + 1", "one + 2"))
    projects.close()
    with pytest.raises(ConflictError, match="plus changed"):
        reproducing.start(ws, version.model, version.number)


def test_other_bytes_count_by_their_metrics(
    ws: Workspace, version: Version, project: Path
) -> None:
    noise = project / "noise"
    noise.write_text("0.004")
    close = made_again(ws)
    assert (close.passed, close.detail["verdict"]) == (True, "equal within tolerance")
    assert close.detail["differing"] == ["train"]
    assert close.found == (
        "train gave other bytes (line 1, character 12: '' -> '.004'); 2 metrics are within 0.01 of"
        " what they were, at most 0.005 apart (auc); its code, inputs and packages are the same,"
        " so train does not give the same each time"
    )
    far = made_again(ws, count=2, between=lambda: noise.write_text("-0.1"))
    assert (far.passed, far.detail["verdict"]) == (False, "different")
    assert ", and auc was 0.8 and is 0.7 (0.12 apart" in far.found


def test_a_run_that_fails_is_different_and_says_where(
    ws: Workspace, version: Version, project: Path
) -> None:
    (project / "noise").write_text("no number")
    found = made_again(ws)
    assert found.detail["verdict"] == "different"
    assert "it failed: train: " in found.found


def test_other_code_is_refused_and_the_step_is_named(
    ws: Workspace, version: Version, project: Path
) -> None:
    text = PROJECT.replace("return len(model) > 0", "return len(model) > 1")
    (project / "project.py").write_text(text)
    with pytest.raises(ConflictError, match=r"not what made tide/1: check changed"):
        reproducing.start(ws, "tide", 1)


def test_what_no_pipeline_made_cannot_be_made_again(ws: Workspace, version: Version) -> None:
    def work(tx) -> None:
        lone = {"model": "lone", "number": 0, "run": None, "package": "0" * 64, "card": None}
        registry.register(
            tx, Version(**lone, signature=version.signature, metrics={}, created=0.0, by="ada")
        )

    work_as_engine(ws, work)
    with pytest.raises(ConflictError, match="not made by a run of a pipeline"):
        reproducing.start(ws, "lone", 1)
    with pytest.raises(NotFoundError, match="No reproduction"):
        reproducing.reproduction(ws, "nothing")


def test_asking_twice_for_the_same_cause_starts_once(ws: Workspace, version: Version) -> None:
    first = reproducing.start(ws, "tide", 1, cause="reproduce:gate")
    second = reproducing.start(ws, "tide", 1, cause="reproduce:gate")
    assert first == second
    assert ws.read(Permission.READ, lambda tx: tasks.get(tx, first.task)) is not None


def test_the_operations_say_how_far_it_is(ws: Workspace, version: Version) -> None:
    begun = call(ws, "proofs.reproduce", model="tide", number=1, runs=1)
    assert (begun["state"], begun["evidence"]) == ("waiting", None)
    engines.settle(ws, begun["task"])
    told = call(ws, "proofs.reproduction", task=begun["task"])
    engines.drive(ws, told["runs"][0])
    told = call(ws, "proofs.reproduction", task=begun["task"])
    assert told["state"] == "done"
    assert Evidence(**told["evidence"]).passed
    with pytest.raises(ConflictError, match="It has ended already: it is done"):
        call(ws, "proofs.cancel", task=begun["task"])


def test_one_that_is_cancelled_says_nothing_of_the_version(
    ws: Workspace, version: Version
) -> None:
    begun = call(ws, "proofs.reproduce", model="tide", number=1, runs=1)
    engines.settle(ws, begun["task"])
    told = call(ws, "proofs.reproduction", task=begun["task"])
    call(ws, "proofs.cancel", task=begun["task"])
    engines.drive(ws, told["runs"][0])
    told = call(ws, "proofs.reproduction", task=begun["task"])
    assert (told["state"], told["evidence"]) == ("cancelled", None)
    assert not list((ws.home / "again").glob("*"))
    assert not ws.read(Permission.READ, lambda tx: evidence.newest(tx, "reproduced", "tide/1"))
    # Before anything was prepared it is cancelled at once.
    begun = call(ws, "proofs.reproduce", model="tide", number=1, runs=1)
    call(ws, "proofs.cancel", task=begun["task"])
    assert call(ws, "proofs.reproduction", task=begun["task"])["state"] == "cancelled"
