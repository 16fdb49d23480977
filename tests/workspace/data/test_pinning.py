"""A run pins the data it reads: the step's key, `why`, the run's record, and what gc leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_data import settle

from mainspring.experiments import datasets
from mainspring.ground.errors import NotFoundError, ProjectError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.context import StepContext, entered
from mainspring.pipelines.data import fetching, versions
from mainspring.workspace import engines, running
from mainspring.workspace.data import adding, looking, pinning, trees
from mainspring.workspace.data.places import trees_folder
from mainspring.workspace.data.verbs import data
from mainspring.workspace.keeping import pruning
from mainspring.workspace.opening import Workspace

PROJECT = """
from pathlib import Path
import polars as pl
import mainspring as ms

@ms.step
def count(folder: Path, parts: list) -> int:
    assert all(isinstance(part, pl.DataFrame) for part in parts)
    return sum(file.stat().st_size for file in folder.rglob("*")) + sum(p.height for p in parts)

@ms.step
def fixed() -> str:
    return ms.data("table@1").read_text()

@ms.pipeline
def pipe():
    fixed()
    return count(ms.data("folder"), [ms.data("table@1", frame=True)])
"""


@pytest.fixture
def place(tmp_path: Path, ws: Workspace) -> Path:
    """A project beside two datasets."""
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n3,4\n")
    adding.add(ws, tmp_path / "table.csv")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("12345")
    adding.add(ws, tmp_path / "folder")
    return tmp_path


def run(ws: Workspace) -> tuple[str, dict]:
    started = running.start_run(ws, "project:pipe", {})
    record = engines.drive(ws, started)
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, started))
    assert record.status is RunStatus.FINISHED, [(s.step, s.error, s.trace) for s in steps]
    return started, {one.step: one for one in steps}


def test_a_run_pins_what_it_reads(ws: Workspace, place: Path) -> None:
    first, steps = run(ws)
    assert ws.objects.get(str(steps["count"].output)) == b"7"
    assert ws.objects.get(str(steps["fixed"].output)).decode().startswith("a,b")
    read = ws.read(Permission.READ, lambda tx: datasets.of_runs(tx, [first]))[first]
    assert {(u.dataset.source, u.dataset.source_type, u.context) for u in read} == {
        ("folder@1", "data", "count"),
        ("table@1", "data", "count"),
    }
    assert {one.state for one in run(ws)[1].values()} == {"reused"}

    (place / "folder" / "a").write_text("123456789")
    adding.add(ws, place / "folder")
    second, steps = run(ws)
    assert steps["count"].why == "data folder: version 1 -> 2"
    assert steps["fixed"].state == "reused"
    assert ws.objects.get(str(steps["count"].output)) == b"11"

    # What a run pinned stays, though its version is removed and everything else is reclaimed.
    for number in (1, 2):
        ws.write(Permission.LOG, lambda tx, n=number: versions.remove(tx, "folder", n))
    pruning.prune(ws, young_s=-1e9, unused_s=-1e9)
    assert list(trees_folder(ws.home).iterdir()) == []
    with pytest.raises(NotFoundError, match="'folder'"):
        running.start_run(ws, "project:pipe", {})

    def plan(tx):
        return pipelines.prepare(tx, second, "count", ws.objects.has, home=ws.home)

    engine = ws.acting_as(service("engine"))
    args = pinning.placed(ws, engine.write(Permission.WORK, plan).args)
    assert (Path(args["folder"]["place"]) / "a").read_text() == "123456789"


def test_a_copy_that_was_spoilt_is_brought_anew(ws: Workspace, place: Path) -> None:
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, "folder"))
    tree = trees.tree(ws, version)
    assert not (tree / "a").stat().st_mode & 0o222
    (tree / "a").chmod(0o600)
    (tree / "a").write_text("spoil")
    (tree / "more").write_text("as a step left it")
    (tree / "link").symlink_to("a")
    assert (trees.tree(ws, version) / "a").read_text() == "12345"
    assert [file.name for file in tree.iterdir()] == ["a"]


def test_a_copy_is_made_once_and_then_only_looked_at(
    ws: Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, "folder"))
    (trees_folder(ws.home) / f".making-folder-{version.digest}").mkdir(parents=True)  # one died
    tree = trees.tree(ws, version)
    settle(tree)
    assert trees.tree(ws, version) == tree

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing is read or written")

    monkeypatch.setattr(fetching, "make", never)
    monkeypatch.setattr(fetching, "fetch_all", never)
    monkeypatch.setattr(looking, "digests_of", never)
    assert trees.tree(ws, version) == tree
    assert [one.name for one in trees_folder(ws.home).iterdir()] == [tree.name]


def test_a_step_may_not_ask_for_whichever_is_the_newest(
    ws: Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(ws.home))
    with entered(StepContext("run_1", "count", ws.objects)):
        with pytest.raises(ProjectError, match="asks for the newest version of folder"):
            data("folder")
        assert (data("folder@1") / "a").read_text() == "12345"
    assert data("table", frame=True).height == 2  # in a script
