"""A step runs in an environment of its own, and its key and `why` know which."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from wheels import wheel

from mainspring.cli import environments as commands
from mainspring.cli.options import Everywhere
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import project as projects
from mainspring.pipelines import reading
from mainspring.pipelines import runs as pipelines
from mainspring.workspace import engines, environments, running
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import os
import sys
import time
from pathlib import Path

import mainspring as ms

HERE = Path(__file__).parent


def met(mine: str, other: str) -> str:
    (HERE / mine).touch()
    until = time.monotonic() + 60
    while not (HERE / other).exists():
        assert time.monotonic() < until, "the other step did not run beside this one"
        time.sleep(0.01)
    import tide

    return tide.VERSION


@ms.step(env="requirements-old.txt")
def old(there: str) -> dict:
    version = met("old", there)
    try:
        import sqlalchemy
    except ImportError:
        return {"tide": version, "sqlalchemy": False, "path": sys.path}
    return {"tide": version, "sqlalchemy": True, "path": sys.path}


@ms.step(env=["tide==2.0", "--find-links=wheels", "--no-index"])
def new(there: str) -> tuple:
    ms.log(version=2.0)
    return (met("new", there), 1.5)


@ms.step
def join(old: dict, new: tuple) -> list:
    return [old, new]


@ms.pipeline
def both():
    return join(old("new"), new("old"))
"""


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """A home with a project and two versions of a package."""
    root = tmp_path / "project"
    wheel(root / "wheels", "tide", "1.0")
    wheel(root / "wheels", "tide", "2.0")
    (root / "project.py").write_text(PROJECT)
    old = "# as it was\n--no-index\n--find-links wheels\ntide == 1.0\n"
    (root / "requirements-old.txt").write_text(old)
    found = open_workspace(Settings(root=str(root), home=str(tmp_path / "home"), workers=2))
    yield found
    found.close()
    projects.close()


def ran(ws: Workspace) -> dict[str, tuple[str, str]]:
    run = running.start_run(ws, "both")
    assert engines.drive(ws, run).status == "finished", ws.read(
        Permission.READ, lambda tx: [one.error + one.trace for one in pipelines.steps_of(tx, run)]
    )
    steps = ws.read(Permission.READ, lambda tx: pipelines.steps_of(tx, run))
    return {one.step: (str(one.state), one.why) for one in steps} | {"run": (run, "")}


def test_two_steps_see_two_versions_of_a_package_side_by_side(ws: Workspace) -> None:
    found = ran(ws)
    run = found["run"][0]

    def look(tx):
        digest, type_ = pipelines.output_of(tx, run, "join")
        return digest, type_, running.state(tx, run)[0].metrics

    digest, type_, metrics = ws.read(Permission.READ, look)
    from mainspring.pipelines import outputs

    listing = ws.read(Permission.READ, lambda tx: reading.environment_of(tx, run))
    assert "polars" in listing, "what the other steps ran in, and not what one asked for"
    old, new = outputs.decode(digest, type_, ws.objects, ws.home)
    assert (old["tide"], new) == ("1.0", ("2.0", 1.5))
    assert not old["sqlalchemy"], "nothing of ours is in the environment"
    assert not [one for one in old["path"] if "site-packages" in one and "built" not in one]
    assert metrics == {"version": 2.0}
    assert {one[0] for name, one in ran(ws).items() if name != "run"} == {"reused"}
    # Another version of the package is another key, and why names it.
    file = Path(ws.settings.root) / "requirements-old.txt"
    file.write_text(file.read_text().replace("1.0", "2.0"))
    for mark in ("old", "new"):
        (Path(ws.settings.root) / mark).touch()
    again = ran(ws)
    assert again["old"] == ("done", "environment: tide 1.0 -> 2.0")
    assert again["new"][0] == "reused"


def test_what_cannot_be_had_is_refused_before_anything_runs(ws: Workspace) -> None:
    root = Path(ws.settings.root)
    (root / "requirements-old.txt").write_text("--no-index\n--find-links wheels\ntide==3.0\n")
    with pytest.raises(BadInputError, match=r"(?s)cannot be built: .*tide==3\.0"):
        running.start_run(ws, "both")
    (root / "requirements-old.txt").unlink()
    with pytest.raises(BadInputError, match=r"There is no file 'requirements-old\.txt'"):
        running.start_run(ws, "both")
    with pytest.raises(BadInputError, match=r"Python 3\.99 is asked for"):
        environments.lock_for(ws.home, root, [], "3.99")


def test_environments_are_listed_shown_removed_and_built_again(
    ws: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ran(ws)["run"][0]
    found = environments.of_run(ws, run)
    by = {tuple(one.steps): one for one in found}
    assert set(by) == {("old",), ("new",), ("join",)}
    assert by["old",].lock is not None
    assert by["old",].lock.lines[0].startswith("tide==1.0 --hash=sha256:")
    assert by["old",].lock.came == "requirements-old.txt"
    assert (by["old",].built, by["join",].own) == (True, False)
    known = {one.digest: one for one in environments.listed(ws)}
    assert set(known) == {by["old",].digest, by["new",].digest}
    assert all(one.whole and one.size > 0 for one in known.values())
    options = Everywhere(home=str(ws.home))
    commands.listing(options=options)
    commands.show(run, options=options)
    told = capsys.readouterr().out
    assert "requirements-old.txt" in told
    assert "tide==1.0" in told
    # One in which something is missing is told, and built again; so is one that was removed.
    digest = by["new",].digest
    place = Path(known[digest].path).parents[1]
    for info in place.glob("lib/*/site-packages/tide*.dist-info"):
        (info / "RECORD").unlink()
    (broken,) = [one for one in environments.listed(ws) if not one.whole]
    assert broken.digest == digest
    commands.remove(by["old",].digest[:8], options=options)
    assert {one.digest for one in environments.listed(ws)} == {digest}
    for one in ("old", "new"):
        environments.python_of(ws, by[one,].digest)
    assert all(one.whole for one in environments.listed(ws))
    with pytest.raises(NotFoundError, match="No environment's digest begins with"):
        environments.remove(ws, "abcdef0")
    assert environments.collect(ws, ws.clock.now() + 60, dry_run=True)[0] == 2
    assert environments.collect(ws, ws.clock.now() + 60, dry_run=False)[0] == 2
    assert environments.listed(ws) == []
