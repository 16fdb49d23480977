"""Runs made again and notebooks, with all that is kept on a server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.settings import load
from mainspring.web.app import build_app
from mainspring.workspace.opening import open_workspace
from serving_in_a_thread import served

SCRIPT = (
    "import mainspring as ms\n"
    "from mainspring.workspace.tracking import sending\n"
    "sending.END_S = 300.0\n"  # the server is there, and is waited for however slow it is
    "with ms.run('far', name='one', params={'seed': 3}) as run:\n"
    "    run.log(loss=0.5)\n"
    "    run.log_table([{'x': 1}], 'rows.parquet')\n"
)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server with an empty home."""
    place = tmp_path / "server"
    place.mkdir()
    (place / "mainspring.toml").write_text("")
    settings = load({}, start=place, environ={})
    with (
        contextlib.closing(open_workspace(settings, clock=SystemClock())) as ws,
        served(build_app(ws)) as found,
    ):
        yield found


def test_a_run_on_a_server_is_made_again_here(
    say: Callable[..., Any], tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n  name = Tester\n  email = tester@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    monkeypatch.setenv("MAINSPRING_URL", url)
    made = tmp_path / "project"
    made.mkdir()
    monkeypatch.chdir(made)
    (made / "train.py").write_text(SCRIPT)
    subprocess.run(["git", "init", "-q"], check=True)  # and never a commit
    subprocess.run([sys.executable, "train.py"], check=True)
    said = say("again", "last", "--json")
    assert said.code == 0, said.out + said.err
    assert said.json["why"] == "1 params, 1 metrics, 2 artifacts are the same"
    tags = say("show", said.json["again"], "--json").json["run"]["tags"]
    assert tags["mainspring.again"] == said.json["run"]


def test_a_notebook_is_run_here_and_kept_there(
    say: Callable[..., Any], tmp_path: Path, url: str
) -> None:
    cell = nbformat.v4.new_code_cell("import mainspring as ms\nms.log(loss=0.25)\n1 / 0")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "far.ipynb")
    said = say("notebook", "run", "far.ipynb", "--url", url, "--json")
    assert said.code == 1
    about = say("show", said.json["run"], "--url", url, "--json").json
    assert about["run"]["status"] == "failed"
    assert about["run"]["metrics"] == {"loss": 0.25}
    assert [one["path"] for one in about["artifacts"]] == ["far.ipynb"]
    assert not say("runs", "--json").json.get("runs", [])
