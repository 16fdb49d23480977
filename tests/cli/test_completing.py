"""The shell's tab key: what a word may become, from the home and the project as they lie there."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments import runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.declare import Options
from mainspring.pipelines.graph import Graph, Node
from mainspring.web.app import build_app
from mainspring.workspace import completing_far
from mainspring.workspace.opening import open_workspace
from serving_in_a_thread import served

PROJECT = """
import mainspring as ms
raise RuntimeError("a tab key runs no code of the project")
@ms.step(retries=1)
def load(rows: int): ...
@ms.step
def fit(rows, trees=3): ...
@ms.pipeline
def flights(rows: int, *, trees: int = 3): ...
def helper(): ...
"""


def furnish(tx: Tx) -> None:
    for number, steps in ((1, ("old",)), (2, ("load", "fit[0]", "$(touch owned)"))):
        record = Run(id=f"run_{number}", experiment="e", name="e", status=RunStatus.FAILED,
                     started=float(number), pipeline="project:flights")  # fmt: skip
        runs.create(tx, record)
        nodes = [
            Node(name=one, target="project:load", args={}, options=Options()) for one in steps
        ]
        graph = Graph(pipeline="project:flights", params={}, nodes=nodes, result=None)
        pipelines.plan(tx, record.id, graph, {"project:load": ["d", {}]}, "env")


@pytest.fixture
def tab(say: Callable[..., Any], tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that gives what the last word may become."""
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "mainspring.toml").write_text("")
    ws = open_workspace(load({}, start=tmp_path, environ={}))
    ws.store.write(service("test"), Permission.WORK, furnish)
    ws.close()
    return lambda *words: say("--complete", *words).out.split("\n")[:-1]


def test_the_tab_key_knows_runs_steps_params_and_pipelines(tab: Callable[..., list[str]]) -> None:
    assert tab("run", "") == ["flights"]
    assert tab("run", "flights", "-p", "") == ["rows=", "trees="]
    assert tab("run", "flights", "-p", "rows=3", "--from", "f") == ["fit[0]", "fit"]
    assert tab("rerun", "") == ["last", "run_2", "run_1"]
    assert tab("rerun", "run_1", "--from", "") == ["old"]
    assert tab("why", "last", "") == ["load", "fit[0]"]  # what a shell would carry out is left out
    assert tab("logs", "--run", "run_1", "--step", "") == ["old"]
    assert tab("data", "get", "") == []
    assert tab("run", "--smoke-") == ["--smoke-rows"]
    assert {"add", "diff"} <= set(tab("data", ""))
    assert "data" in tab("dat")
    assert tab("nonsense", "more", "") == []


def test_a_home_that_is_no_database_and_a_broken_project_complete_nothing(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "project.py").write_text("def (")
    (tmp_path / ".mainspring").mkdir()
    (tmp_path / ".mainspring/mainspring.db").write_text("no database")
    for words in (("run", ""), ("rerun", "run"), ("data", "get", ""), ("run", "x", "--from", "")):
        said = say("--complete", *words)
        assert (said.code, said.out, said.err) == (0, "", "")


def test_completing_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'sqlalchemy', 'polars', 'numpy', 'cyclopts', 'rich', 'asyncio'}"
    code = f"""
import sys
from mainspring.cli.start import main
main(["--complete", "rerun", ""])
print(sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["last", "[]"]


def test_a_server_and_postgres_say_names_within_a_limit_or_nothing(
    tab: Callable[..., list[str]],
    say: Callable[..., Any],
    tmp_path: Path,
    new_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completing_far, "LIMIT_S", 60.0)  # a busy machine must not decide this
    with (
        closing(open_workspace(load({}, start=tmp_path, environ={}))) as ws,
        served(build_app(ws)) as url,
    ):
        far = ("--url", url)
        assert tab("rerun", *far, "") == ["last", "run_2", "run_1"]
        assert tab("rerun", *far, "run_1", "--from", "") == ["old"]
        assert tab("why", *far, "last", "") == ["load", "fit[0]"]
        assert tab("run", f"--url={url}", "flights", "--from", "f") == ["fit"]
        assert tab("run", *far, "") == ["flights"]  # as the file here has them
        assert tab("models", *far, "") == tab("data", "get", *far, "") == []
        assert tab("rerun", *far, "--token", "nonsense", "") == ["last"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(completing_far, "LIMIT_S", 0.05)
        monkeypatch.setenv("MAINSPRING_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        for words in (("models", ""), ("data", "get", ""), ("run", "x", "--from", "l")):
            said = say("--complete", *words)
            shown = "load\n" if "run" in words else ""  # as the file here has it
            assert (said.code, said.out, said.err) == (0, shown, "")
    monkeypatch.delenv("MAINSPRING_URL")
    monkeypatch.setattr(completing_far, "LIMIT_S", 60.0)
    monkeypatch.setenv("MAINSPRING_DATABASE", new_database())
    with closing(open_workspace(load({}, start=tmp_path))) as ws:
        ws.store.write(service("test"), Permission.WORK, furnish)
    assert tab("rerun", "") == ["last", "run_2", "run_1"]
    assert tab("logs", "--run", "run_1", "--step", "") == ["old"]
    monkeypatch.setenv("MAINSPRING_DATABASE", "postgresql://127.0.0.1:1/nobody")
    assert tab("rerun", "") == ["last"]
