"""Go on from a run: from a step, with one step alone, with newer code, with whole objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import InProcess

from mainspring.experiments import runs as experiments
from mainspring.ground.errors import ConflictError, NotFoundError, ProjectError
from mainspring.ground.objects import StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.pipelines import runs as pipelines
from mainspring.workspace import engines, going_on, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.proofs import smoking

PROJECT = """
from pathlib import Path

import mainspring as ms


@ms.step(cache=False)
def load(n: int) -> list:
    with Path("loads").open("a") as file:
        file.write("x")
    return [n, len(Path("loads").read_text())]


@ms.step
def train(rows: list, k: int) -> int:
    C = 1
    if Path("broken").exists():
        raise ValueError("broken on purpose")
    return sum(rows) * k * C


@ms.step(files=["names.txt"])
def say(score: int) -> str:
    return f"{Path('names.txt').read_text()} {score}" + "." * 100_000


@ms.pipeline
def main(n: int = 3, k: int = 2):
    return say(train(load(n), k))
"""


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "names.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    found = open_workspace(Settings(root=str(tmp_path), home=str(tmp_path / "home")))
    found._started.append(InProcess())
    yield found
    found.close()
    projects.close()


def steps(ws: Workspace, run: str) -> dict[str, StepRecord]:
    found = ws.read(Permission.READ, lambda tx: pipelines.steps_of(tx, run))
    return {one.step: one for one in found}


def start(ws: Workspace, **params: int) -> str:
    return done(ws, running.start_run(ws, "main", params))


def done(ws: Workspace, run: str) -> str:
    engines.drive(ws, run)
    return run


def test_a_rerun_from_a_step_takes_what_came_before_from_that_very_run(ws: Workspace) -> None:
    first = start(ws, n=5)
    start(ws, n=5)  # newer results: load gives another list each time
    Path("project.py").write_text(PROJECT.replace("return [n, len", "return [n + 1, len"))
    again = done(ws, going_on.rerun(ws, first, "train"))
    was, now = steps(ws, first), steps(ws, again)
    assert now["load"].output == was["load"].output
    assert now["load"].why == f"kept from {first}, which this run goes on from"
    assert [str(one.state) for one in now.values()] == ["reused", "done", "done"]
    assert Path("loads").read_text() == "xx"


def test_a_rerun_of_all_has_the_params_of_the_run(ws: Workspace) -> None:
    first = start(ws, n=7, k=3)
    again = going_on.rerun(ws, first)
    record, _ = ws.read(Permission.READ, lambda tx: running.state(tx, again))
    assert record.params == {"n": "7", "k": "3"}
    with pytest.raises(ProjectError, match="no step 'trian'") as caught:
        going_on.rerun(ws, first, "trian")
    assert caught.value.hint == "Did you mean 'train'?"


def test_a_run_whose_folder_is_gone_says_so(ws: Workspace, tmp_path: Path) -> None:
    first = start(ws)
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-moved")
    ws.write(
        Permission.RUN,
        lambda tx: experiments.set_tags(tx, first, {running.ROOT: str(elsewhere)}),
    )

    with pytest.raises(NotFoundError, match="-moved is gone"):
        going_on.rerun(ws, first)


def test_one_step_runs_alone_on_what_the_steps_before_gave_last(ws: Workspace) -> None:
    with pytest.raises(ConflictError, match="needs what load gives"):
        going_on.only(ws, "main", "train", {})
    done(ws, smoking.start(ws, "main", {}, 20))
    with pytest.raises(ConflictError, match="needs what load gives"):
        going_on.only(ws, "main", "train", {})
    start(ws, n=1)
    newest = start(ws, n=2)
    alone = done(ws, going_on.only(ws, "main", "train", {"k": 10}))
    found = steps(ws, alone)
    assert set(found) == {"load", "train"}
    assert found["load"].output == steps(ws, newest)["load"].output
    assert found["train"].state == "done"
    assert found["train"].parts["param k"] == "10"


def test_a_run_is_resumed_with_newer_code_and_why_names_the_line(ws: Workspace) -> None:
    Path("broken").touch()
    run = start(ws)
    assert steps(ws, run)["train"].error.startswith("Step train failed: ValueError: broken")
    Path("broken").unlink()
    Path("project.py").write_text(PROJECT.replace("C = 1", "C = 5"))
    going_on.resume(ws, run)
    done(ws, run)
    assert "has changed since this run was planned" in steps(ws, run)["train"].error
    going_on.resume(ws, run, newer_code=True)
    done(ws, run)
    found = steps(ws, run)
    assert found["train"].why == (
        "resumed with the code as it is now: code function train: line 16: C = 1 -> C = 5"
    )
    assert [str(one.state) for one in found.values()] == ["done"] * 3
    assert Path("loads").read_text() == "x"
    with pytest.raises(ConflictError, match="nothing of it is left") as told:
        going_on.resume(ws, run)
    assert told.value.hint == f"Make it again: mainspring rerun {run}"


def test_a_run_whose_pipeline_has_other_steps_by_now_is_not_resumed(ws: Workspace) -> None:
    Path("broken").touch()
    run = start(ws)
    Path("project.py").write_text(PROJECT.replace("say(train(load(n), k))", "train(load(n), k)"))
    with pytest.raises(ConflictError, match="does not have the steps any more"):
        going_on.resume(ws, run, newer_code=True)


def test_why_names_the_line_the_file_and_the_param(ws: Workspace) -> None:
    start(ws)
    Path("project.py").write_text(PROJECT.replace("C = 1", "C = 2"))
    Path("names.txt").write_text("b")
    found = steps(ws, start(ws, k=4))
    assert "param k: 2 -> 4" in found["train"].why
    assert "code function train: line 16: C = 1 -> C = 2" in found["train"].why
    assert "file names.txt: changed" in found["say"].why


def test_a_damaged_result_is_not_reused_and_made_anew(ws: Workspace, tmp_path: Path) -> None:
    """One that is large, so that it is read outside of the transaction."""
    Path("project.py").write_text(PROJECT.replace("@ms.step(cache=False)", "@ms.step"))
    first = steps(ws, start(ws))
    digest = first["say"].output
    assert digest is not None
    path = tmp_path / "home" / "objects" / digest[:2] / digest[2:]
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[:-1] + b"!")
    found = steps(ws, start(ws))
    assert [str(one.state) for one in found.values()] == ["reused", "reused", "done"]
    assert found["say"].why == (
        f"its kept result is damaged (object {digest[:12]} is not what its digest says)"
    )
    assert path.read_bytes() == whole
    assert {str(one.state) for one in steps(ws, start(ws)).values()} == {"reused"}
