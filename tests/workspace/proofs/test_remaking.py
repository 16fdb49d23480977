"""A pipeline's run is made again in a clean place, from what it kept; at home and elsewhere."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from homes import work_as_engine

from mainspring.cli import reproducing as commands
from mainspring.cli import runs
from mainspring.cli.options import Everywhere
from mainspring.experiments import runs as experiments
from mainspring.ground.environment import environment_digest
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.locks import Lock, installed
from mainspring.ground.objects import Evidence, Run
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import environments as kept
from mainspring.pipelines import project as projects
from mainspring.pipelines import reading
from mainspring.pipelines.tables import steps as step_table
from mainspring.workspace import calling, captured, engines, running, waiting
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.keeping import collecting
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.proofs import places, remaking, reproducing

PROJECT = """
import random
import time
from pathlib import Path

import polars as pl

import mainspring as ms

HERE = Path(__file__).parent


@ms.step
def load(rows: int) -> pl.DataFrame:
    text = (HERE / "data" / "rows.txt").read_text() if (HERE / "data").exists() else "1"
    return pl.DataFrame({"a": range(rows), "b": [random.random() * float(text)] * rows})


def stamp() -> float:
    return time.time()


@ms.step
def train(rows: pl.DataFrame, fickle: bool) -> dict:
    ms.log(auc=0.8)
    return {"mean": rows["b"].mean() + 1, "at": stamp() if fickle else 0.0}


@ms.pipeline
def tide(rows: int = 3, fickle: bool = False):
    return train(load(rows), fickle)
"""


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def root(ws: Workspace) -> Iterator[Path]:
    folder = Path(ws.settings.root)
    folder.mkdir(exist_ok=True)
    (folder / "project.py").write_text(PROJECT)
    yield folder
    projects.close()


def ran(ws: Workspace, **params: str) -> str:
    run = running.start_run(ws, "tide", params)
    assert engines.drive(ws, run).status == "finished"
    return run


def made_again(ws: Workspace, run: str, **asked: object) -> Evidence:
    begun = remaking.ask(ws, remaking.Wanted(run=run, **asked))
    engines.settle(ws, begun.task)
    _, runs, _ = reproducing.reproduction(ws, begun.task)
    for one in runs:
        engines.drive(ws, one)
    task, _, found = reproducing.reproduction(ws, begun.task)
    assert found is not None, task
    assert not list((ws.home / remaking.FOLDER).glob("*")), "the place is gone"
    return found


def test_it_is_made_again_from_commit_and_changes_whatever_the_folder_holds_now(
    ws: Workspace, root: Path
) -> None:
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    (root / "project.py").write_text(PROJECT.replace("+ 1", "+ 2"))
    (root / ".gitignore").write_text("data/\n")
    (root / "data").mkdir()
    (root / "data" / "rows.txt").write_text("3")
    run = ran(ws, rows="5")
    (root / "project.py").write_text("raise SystemExit('not this one')\n")
    found = made_again(ws, run, count=2)
    assert (found.detail["verdict"], found.passed) == ("identical", True), found
    assert found.found == "all 2 steps gave the same bytes, 2 times"
    assert found.subject == f"run:{run}"
    assert "packages are installed here" in found.detail["environment"]
    assert found.detail["notes"] == [
        f"data was not kept (git ignores it): it is linked from {root}"
    ]
    record = ws.read(Permission.READ, lambda tx: experiments.get(tx, run))
    assert record.tags[remaking.REPRODUCED].startswith("identical: all 2 steps gave")
    # Data that changed since is named, and so is the step that saw it first. What was made again
    # stands for what it was made of.
    (root / "data" / "rows.txt").write_text("4")
    other = made_again(ws, found.opens[1].removeprefix("run:"))
    assert other.subject == f"run:{run}"
    assert other.detail["verdict"] == "different"
    assert other.detail["differing"] == ["load", "train"]
    assert other.found.startswith("load gave other bytes (column b, row 0: ")
    assert "(5 of 5 cells)" in other.found


WAITS = """
import mainspring as ms


@ms.step
def told(yes: bool, news: dict, error: str) -> str:
    return f"{yes} {news['rows']} {error}"


@ms.step
def words(error: dict) -> str:
    return error["message"]


@ms.pipeline
def tide():
    yes = ms.wait_for_approval("asked", on_rejection="continue")
    no = ms.catch(lambda: ms.wait_for_approval("refused"), lambda error: words(error))
    return ms.wait("1h", after=told(yes, ms.wait_for_event("rows"), no))
"""


def test_what_was_approved_refused_or_signalled_is_so_again_and_nobody_is_asked_twice(
    ws: Workspace, root: Path
) -> None:
    (root / "project.py").write_text(WAITS)
    run = running.start_run(ws, "tide", {})
    assert engines.drive(ws, run).status == "running"
    asked = {one.name: one.step for one in waiting.waiting(ws, run)}
    waiting.reject(ws, run, asked["asked"], "Not today.")
    waiting.reject(ws, run, asked["refused"], "Never.")
    waiting.signal(ws, run, "rows", {"rows": 120})
    engines.drive(ws, run)
    ws.clock.turn(3601)
    assert engines.drive(ws, run).status == "finished"
    found = made_again(ws, run)
    assert found.detail["verdict"] == "identical", found
    [again] = [one.removeprefix("run:") for one in found.opens if one != f"run:{run}"]
    whys = {
        one.step: one.why or one.error
        for one in ws.read(Permission.READ, lambda tx: reading.steps_of(tx, again))
    }
    assert whys["asked"] == f"as in run {run}: rejected by owner: Not today."
    assert whys["rows"].startswith(f"as in run {run}: signalled by ")
    assert whys[asked["refused"]] == "rejected by owner: Never."


def test_data_that_nobody_kept_is_refused_before_anything_runs_where_it_is_missing(
    ws: Workspace, root: Path, tmp_path: Path
) -> None:
    git(root, "init", "-q")
    (root / ".gitignore").write_text("data/\nlogs/\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    for name in ("data/rows.txt", "logs/old.txt"):
        (root / name).parent.mkdir()
        (root / name).write_text("3")
    run = ran(ws)
    (root / "logs" / "old.txt").unlink()
    (root / "logs").rmdir()
    (root / "data").rename(tmp_path / "moved")
    found = made_again(ws, run)
    assert found.detail["verdict"] == "cannot"
    assert "data (git ignores it; project.py:15 names it)" in found.found
    assert "logs" not in found.found
    assert "mainspring data add PATH" in found.found
    assert not [one for one in found.opens if one != f"run:{run}"], "nothing ran"
    # Another copy in its place is taken, and told by what is known of it.
    (tmp_path / "moved").rename(root / "data")
    (root / "data" / "rows.txt").write_text("3 ")
    found = made_again(ws, run)
    assert found.detail["verdict"] == "identical"
    assert found.detail["notes"] == [
        f"data was not kept (git ignores it): it is linked from {root}, where it was changed"
        " since: data/rows.txt had 1 bytes and has 2",
        f"logs was not kept (git ignores it), and is not in {root}",
    ]


def test_data_whose_name_the_code_puts_together_is_known_since_the_step_opened_it(
    ws: Workspace, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "project.py").write_text(PROJECT.replace('"data"', '("da" + "ta")'))
    git(root, "init", "-q")
    (root / ".gitignore").write_text("data/\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    (root / "data").mkdir()
    (root / "data" / "rows.txt").write_text("3")
    first, run = ran(ws), ran(ws)
    for one in (first, run):  # reused, it is said all the same
        told = ws.read(Permission.READ, lambda tx, one=one: reading.why(tx, one, "load"))
        assert told["reads"] == ["data/rows.txt"]
        assert told["why"].endswith(
            "; it read data/rows.txt, which is no part of its key: say so, files=, or make it an"
            " input"
        )
    (root / "data").rename(tmp_path / "moved")
    found = made_again(ws, run)
    assert found.detail["verdict"] == "cannot"
    assert "data (git ignores it; step load read data/rows.txt)" in found.found
    ws.store.close()
    runs.why(run, "load", options=Everywhere(home=str(ws.home)))
    assert "it read data/rows.txt, which is no part of its key" in capsys.readouterr().out


def test_another_release_of_python_is_told_beside_the_verdict(
    ws: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured.platform, "python_version", lambda: "3.11.99")
    run = ran(ws)
    monkeypatch.undo()
    found = made_again(ws, run)
    changed = f"python 3.11.99 -> {platform.python_version()}"
    assert found.found == f"all 2 steps gave the same bytes, though packages differ: {changed}"
    assert found.detail["packages"] == [changed]


def test_a_step_that_takes_the_time_is_named_with_the_line(ws: Workspace, root: Path) -> None:
    run = ran(ws, fickle="true")
    found = made_again(ws, run)
    assert found.detail["differing"] == ["train"]
    assert "train gave other bytes (['at']: 1" in found.found
    assert "so train does not give the same each time: it takes the time (line 20:" in found.found
    assert found.detail["hints"] == ["the time (line 20: time.time())"]


def test_within_a_tolerance_numbers_are_equal(ws: Workspace, root: Path) -> None:
    run = ran(ws, fickle="true")
    # Two moments of one day are a tiny share of the time since 1970 apart.
    found = made_again(ws, run, tolerance=0.01)
    assert found.detail["verdict"] == "equal within tolerance"
    assert found.passed


def test_what_was_not_kept_cannot_be_made_again_and_says_why(ws: Workspace, root: Path) -> None:
    off = Workspace(
        Settings(root=str(root), home=str(ws.home), capture=False), ws.store, ws.objects, ws.clock
    )
    off._started = ws._started
    run = ran(off)
    found = made_again(ws, run)
    assert (found.detail["verdict"], found.passed) == ("cannot", False)
    assert "its code was not kept" in found.found
    lone = Run(id="run_lone", experiment="x", name="x", status="finished", started=0.0)
    work_as_engine(ws, lambda tx: experiments.create(tx, lone))
    with pytest.raises(ConflictError, match="is no pipeline's"):
        remaking.ask(ws, remaking.Wanted(run="run_lone"))


def test_packages_that_differ_are_named_and_another_machines_are_refused(
    ws: Workspace, root: Path
) -> None:
    run = ran(ws)
    here = installed()
    other = dict(here.listing) | {"polars": "0.1"}
    lock = Lock(python=here.python, machine="Plan9 vax", lines=["polars==0.1"], listing=other)

    def older(tx) -> None:
        digest = kept.keep(tx, other, lock)
        assert digest == environment_digest(other)
        tx.run(step_table.update().values(env=digest))

    work_as_engine(ws, older)
    found = made_again(ws, run)
    assert found.found.startswith("it cannot be made again: The environment is of Plan9 vax")
    # As it is here, it is told what differs.
    told = made_again(ws, run, here=True)
    assert told.detail["environment"] == "what is installed here (as asked)"
    assert told.detail["packages"] == [f"polars 0.1 -> {here.listing['polars']}"]
    assert told.detail["verdict"] == "identical"


def test_an_archive_brings_a_run_to_another_machine_where_it_is_made_again(
    ws: Workspace, root: Path, tmp_path: Path
) -> None:
    run = ran(ws, rows="4")
    file = tmp_path / "all.zip"
    export(ws, file)
    shutil.rmtree(root)
    projects.close()
    other = tmp_path / "other"
    other.mkdir()
    there = open_workspace(Settings(root=str(other), home=str(other / "home")))
    there._started = ws._started
    try:
        take_in(there, file)
        found = made_again(there, run)
        # The text of its code came along, and goes with the last step that is of it.
        without = (frozenset(), frozenset([run, *made_of(found)]))
        gone = [collecting._code_texts(there, one, dry_run=True) for one in without]
        assert gone[0] == 0 < gone[1]
    finally:
        there.store.close()
    assert (found.detail["verdict"], found.passed) == ("identical", True)


def made_of(found: Evidence) -> list[str]:
    return [one.removeprefix("run:") for one in found.opens]


def test_the_command_ends_with_0_1_or_2_and_tells_it(
    ws: Workspace, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ran(ws)
    ws.store.close()
    options = Everywhere(home=str(ws.home))
    assert commands.reproduce(run, options=options) == 0
    told = capsys.readouterr()
    assert "identical: all 2 steps gave the same bytes" in told.out
    assert "train                    done" in told.err
    assert commands.reproduce("last", options=options) == 0
    with pytest.raises(BadInputError, match="There is no run 'run_none'") as none:
        commands.reproduce("run_none", options=options)
    assert none.value.exit_code == 2, "1 says that something differs"


def test_the_zone_and_the_language_are_those_of_the_run_and_the_rest_is_told(
    ws: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = PROJECT.replace("return time.time()", "return time.localtime(0).tm_hour")
    (root / "project.py").write_text(source)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    planned = running.plan(ws, str(root), "tide", {"fickle": "true"})
    told = msgspec.json.decode(
        ws.objects.get(planned.captured.kept[captured.PROJECT][0]), type=captured.ProjectFile
    )
    monkeypatch.setenv("TZ", "America/Lima")
    monkeypatch.delenv("OMP_NUM_THREADS")
    place = ws.home / remaking.FOLDER / "again_1"
    clean, notes = places.make(told, b"", place, ws.objects, 0.0, ws.home, root)
    assert notes == ["the variable OMP_NUM_THREADS was '2' and is not set"]
    node = planned.graph.nodes[-1].target
    asked = {"root": str(clean), "target": node, "args": {}}
    call = calling.wanted(ws, "trace", asked, root=str(clean))
    assert call.env["TZ"] == "Asia/Tokyo"
