"""A run of a server's is made again by the server, and one in another Python in that Python."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.cli import reproducing
from mainspring.cli.options import Everywhere
from mainspring.ground import venvs
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.web.app import build_app
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.proofs import remaking
from mainspring.workspace.proofs import reproducing as again
from serving_in_a_thread import served

PROJECT = """
import random
import sys

import mainspring as ms


@ms.step
def draw(count: int) -> list:
    return [random.random() for _ in range(count)]


@ms.step(python="3.12")
def elsewhere(count: int) -> dict:
    return {"python": list(sys.version_info[:2]), "drawn": [random.random() for _ in range(count)]}


@ms.pipeline
def drawn(count: int = 3):
    return draw(count)


@ms.pipeline
def drawn_elsewhere(count: int = 3):
    return elsewhere(count)
"""


@pytest.fixture
def root(ws: Workspace) -> Path:
    folder = Path(ws.settings.root)
    folder.mkdir(exist_ok=True)
    (folder / "project.py").write_text(PROJECT)
    return folder


@pytest.fixture
def url(ws: Workspace, root: Path) -> Iterator[str]:
    """A server of the home, with an engine at work beside it."""
    stop, engine = threading.Event(), engines.make_engine(ws, "engine", scanning=False)
    working = threading.Thread(target=engine.run, args=(stop,))
    with served(build_app(ws)) as url:
        working.start()
        try:
            yield url
        finally:
            stop.set()
            working.join()


def test_over_http_the_server_makes_it_again(
    ws: Workspace, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = running.start_run(ws, "drawn", {})
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    assert reproducing.reproduce(run, options=Everywhere(url=url)) == 0
    assert "identical: all 1 steps gave the same bytes" in capsys.readouterr().out
    with pytest.raises(BadInputError, match="There is no run 'run_none'"):
        reproducing.reproduce("run_none", options=Everywhere(url=url))


@pytest.mark.soak  # it builds an environment
def test_a_step_of_another_python_is_made_again_in_that(root: Path, tmp_path: Path) -> None:
    # A home of its own: those that share a process run nothing in another interpreter.
    with contextlib.closing(
        open_workspace(Settings(root=str(root), home=str(tmp_path / "own")))
    ) as own:
        _made_again_in_another_python(own, tmp_path)


def _made_again_in_another_python(ws: Workspace, tmp_path: Path) -> None:
    try:
        venvs.interpreter("3.12")
    except BadInputError:  # where there is none it is refused before anything runs
        with pytest.raises(BadInputError, match=r"3\.12"):
            running.start_run(ws, "drawn_elsewhere", {})
        return
    run = running.start_run(ws, "drawn_elsewhere", {})
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    made = outputs.decode(str(steps[0].output), str(steps[0].output_type), ws.objects, tmp_path)
    assert made["python"] == [3, 12]
    begun = remaking.ask(ws, remaking.Wanted(run=run))
    engines.settle(ws, begun.task)
    for one in again.reproduction(ws, begun.task)[1]:
        engines.drive(ws, one)
    found = again.reproduction(ws, begun.task)[2]
    assert found is not None
    assert (found.detail["verdict"], found.passed) == ("identical", True), found.found
