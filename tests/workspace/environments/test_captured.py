"""A pipeline's run keeps what it was made of: with git and without, small when nothing changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.experiments.capture import facts
from mainspring.ground import locks
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import chance
from mainspring.pipelines import environments as kept
from mainspring.pipelines import project as projects
from mainspring.pipelines import runs as pipelines
from mainspring.workspace import captured, engines, running
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import random

import numpy as np

import mainspring as ms


@ms.step
def draw(rows: int) -> list:
    import random as again

    order = str({f"x{n}" for n in range(rows)})
    return [random.random(), float(np.random.random()), ms.seed(), order, again.random()]


@ms.pipeline
def luck(rows: int = 9):
    return draw(rows)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "project.py").write_text(PROJECT)
    return folder


@pytest.fixture
def ws(tmp_path: Path, root: Path) -> Iterator[Workspace]:
    found = open_workspace(Settings(root=str(root), home=str(root / ".mainspring")))
    yield found
    found.close()
    projects.close()


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def look(ws: Workspace, run: str) -> tuple[captured.ProjectFile, bytes]:
    found = ws.read(Permission.READ, lambda tx: captured.read(ws, tx, run))
    assert found is not None
    return found


def drawn(ws: Workspace, fresh: tuple[str, ...] = ()) -> tuple[str, str | None]:
    run = running.start_run(ws, "luck", fresh=fresh)
    assert engines.drive(ws, run).status == "finished"
    return run, ws.read(Permission.READ, lambda tx: pipelines.get(tx, run, "draw")).output


def test_with_git_the_commit_the_changes_and_new_files_are_kept(ws: Workspace, root: Path) -> None:
    git(root, "init", "-q")
    (root / ".gitignore").write_text(".mainspring\n__pycache__\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    clean = running.plan(ws, str(root), "luck", {})
    assert set(clean.captured.kept) == {captured.PROJECT}
    (root / "project.py").write_text(f"{PROJECT}\n# changed\n")
    (root / "new.py").write_text("x = 1\n")
    (root / ".env").write_text("TOKEN=1")
    (root / "big.bin").write_bytes(b"0" * 5_000_001)
    (root / "requirements.txt").write_text("polars\n")
    run = running.start_run(ws, "luck")
    told, patch = look(ws, run)
    assert told.git is not None
    assert (told.git.changed, told.git.new) == (["project.py"], ["new.py", "requirements.txt"])
    assert {one.path for one in told.git.left_out} == {".env", "big.bin"}
    assert b"+# changed" in patch
    assert b"+x = 1" in patch
    assert b"TOKEN" not in patch
    assert (told.files, told.folder, list(told.locks)) == ({}, ".", ["requirements.txt"])
    record = ws.read(Permission.READ, lambda tx: running.state(tx, run)[0])
    assert record.tags["mainspring.git.dirty"] == "true"
    assert record.tags[facts.NOT_CAPTURED] == "files: .env, big.bin"
    # What ran is kept too, so that it can be built again.
    lock = ws.read(Permission.READ, lambda tx: kept.lock_of(tx, kept.of_steps(tx, run)["draw"]))
    assert lock is not None
    assert lock.python == locks.here()
    assert any(line.startswith("polars==") for line in lock.lines)
    assert not any(line.startswith("mainspring") for line in lock.lines)


def test_without_git_the_projects_files_are_the_code_and_are_kept_once(
    ws: Workspace, root: Path
) -> None:
    (root / "lib").mkdir()
    (root / "lib" / "clean.sh").write_text("#!/bin/sh\n")
    (root / "lib" / "clean.sh").chmod(0o755)
    (root / ".secret").write_text("x")
    first = running.plan(ws, str(root), "luck", {})
    before = sum(1 for _ in ws.objects.each())
    again = running.plan(ws, str(root), "luck", {})
    assert first.captured == again.captured
    assert sum(1 for _ in ws.objects.each()) == before, "nothing changed, so nothing is added"
    run = running.start_run(ws, "luck")
    told, patch = look(ws, run)
    assert (told.git, patch) == (None, b"")
    assert set(told.files) == {"project.py", "lib/clean.sh"}
    assert told.programs == ["lib/clean.sh"]
    assert ws.objects.get(told.files["project.py"]) == PROJECT.encode()


def test_a_project_that_the_repository_around_it_ignores_is_kept_by_its_files(
    ws: Workspace, root: Path
) -> None:
    git(root.parent, "init", "-q")
    (root.parent / ".gitignore").write_text(f"{root.name}/\n")
    told, patch = look(ws, running.start_run(ws, "luck"))
    assert (told.git, patch, list(told.files)) == (None, b"", ["project.py"])


def test_a_capture_that_fails_says_so_and_stops_nothing(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("mainspring.experiments.capture.git.read", fails)
    found = captured.of(ws, Path(ws.settings.root))
    assert found.kept == {}
    assert found.tags[facts.NOT_CAPTURED] == "code: OSError: the disk is full"


def test_what_a_step_draws_by_chance_is_the_same_each_time(ws: Workspace) -> None:
    first, output = drawn(ws)
    _, again = drawn(ws, fresh=("draw",))
    assert output == again
    other = Workspace(
        Settings(root=ws.settings.root, home=ws.settings.home, seed=7),
        ws.store,
        ws.objects,
        ws.clock,
    )
    other._started = ws._started
    run, differs = drawn(other)
    assert differs != output
    assert (
        ws.read(Permission.READ, lambda tx: pipelines.get(tx, run, "draw")).why == "seed: 0 -> 7"
    )
    tags = ws.read(Permission.READ, lambda tx: running.state(tx, first)[0].tags)
    assert tags[captured.SEED] == "0"


def test_a_step_outside_of_a_run_has_the_seed_0() -> None:
    import mainspring as ms

    assert ms.seed() == 0
    assert 0 <= chance.seed_of(0, "draw") < 2**31
