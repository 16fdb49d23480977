"""Programs in a real run: reused, explained by what is in them, kept when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from mainspring.experiments import artifacts
from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import mainspring as ms

cleaned = ms.shell("bash tools/clean.sh {word} > {out}", outputs={"out": "clean.txt"},
                   files=["tools"], resources={"cpus": 1})
trained = ms.script("train.py", hyperparameters={"depth": 2})
report = ms.notebook("report.ipynb")


@ms.pipeline
def main(word: str = "x y"):
    return trained(channels={"train": cleaned(word)})


@ms.pipeline
def reported(least: int = 1):
    return report(least=least)
"""
TRAIN = """
import os, shutil
shutil.copytree(os.environ["SM_CHANNEL_TRAIN"], os.environ["SM_MODEL_DIR"], dirs_exist_ok=True)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "project.py").write_text(PROJECT)
    (folder / "train.py").write_text(TRAIN)
    (folder / "tools").mkdir()
    (folder / "tools" / "clean.sh").write_text('echo "<$1>"')
    made = nbformat.v4.new_notebook()
    for text in ("print('least is', least)", "assert least < 1, 'too many'"):
        made.cells.append(nbformat.v4.new_code_cell(text))
    nbformat.write(made, folder / "report.ipynb")
    found = open_workspace(Settings(root=str(folder), home=str(folder / "home")))
    yield found
    found.close()


def carried_out(home: Workspace, pipeline: str) -> tuple[str, dict[str, StepRecord]]:
    run = running.start_run(home, pipeline)
    engines.drive(home, run)
    _, steps = home.read(Permission.READ, lambda tx: running.state(tx, run))
    return run, {one.step: one for one in steps}


def test_programs_are_reused_until_what_is_in_them_changes(home: Workspace) -> None:
    root = Path(home.settings.root)
    _, first = carried_out(home, "main")
    assert [one.state for one in first.values()] == [StepState.DONE] * 2, first
    assert first["trained"].output_type == "folder"
    _, second = carried_out(home, "main")
    assert [one.state for one in second.values()] == [StepState.REUSED] * 2
    text = (root / "project.py").read_text()
    (root / "project.py").write_text(text.replace('"cpus": 1', '"cpus": 1, "memory": "1GB"'))
    _, third = carried_out(home, "main")
    assert [one.state for one in third.values()] == [StepState.REUSED] * 2, "no result differs"
    (root / "tools" / "clean.sh").write_text('echo "<<$1>>"')
    _, fourth = carried_out(home, "main")
    assert [one.state for one in fourth.values()] == [StepState.DONE] * 2
    assert "file tools/clean.sh: changed" in fourth["cleaned"].why
    (root / "project.py").write_text(text.replace('"depth": 2', '"depth": 3'))
    _, fifth = carried_out(home, "main")
    assert fifth["cleaned"].state is StepState.REUSED
    assert "hyperparameter depth: 2 -> 3" in fifth["trained"].why


def test_a_notebook_that_fails_is_an_artifact_of_its_run(home: Workspace) -> None:
    run, steps = carried_out(home, "reported")
    assert "Cell 3 of 3 failed: AssertionError: too many" in steps["report"].error
    kept = home.read(
        Permission.READ, lambda tx: artifacts.get(tx, run, "report/report.ipynb").digest
    )
    executed = nbformat.reads(home.objects.get(kept).decode(), as_version=4)
    assert executed.cells[1].outputs[0].text == "least is 1\n"
    assert executed.cells[2].outputs[0].ename == "AssertionError"
