"""What steps are forked from holds what tables and models need where the project speaks of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines.reading import output_of
from mainspring.workspace.handlers import Table
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.warm import speaking
from mainspring.workspace.warm.speaking import HEAVY, MODELS, PLAIN, TABLES


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("project.py", "def add(a: int): ...", PLAIN),
        ("project.py", "import polars", TABLES),
        ("project.py", "from sklearn.svm import SVC", MODELS),
        ("src/features/fit.py", "ms.Model(make())", MODELS),
        (".venv/lib.py", "import sklearn", PLAIN),
        ("notes.txt", "sklearn", PLAIN),
    ],
)
def test_a_project_speaks_of_tables_of_models_or_of_neither(
    tmp_path: Path, name: str, text: str, found: int
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text(text)

    assert speaking.of(tmp_path) == found


def test_so_many_files_are_taken_to_speak_of_everything(tmp_path: Path) -> None:
    for number in range(301):
        (tmp_path / f"part_{number}.py").write_text("")

    assert speaking.of(tmp_path) == MODELS


def test_so_many_folders_are_taken_to_speak_of_everything(tmp_path: Path) -> None:
    for number in range(301):
        (tmp_path / f"part_{number}").mkdir()

    assert speaking.of(tmp_path) == MODELS


def test_an_environment_in_the_project_says_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "lib" / "big.py").write_text("import numpy")

    assert speaking.of(tmp_path) == PLAIN


def test_what_importing_a_project_loads_counts_whatever_its_words_are(tmp_path: Path) -> None:
    spoken, root = speaking.Spoken(), str(tmp_path)
    (tmp_path / "project.py").write_text("from ours_elsewhere import load")
    before = spoken.of(root)
    spoken.loads(root)

    assert (before, spoken.of(root)) == (PLAIN, TABLES)


_PLAIN_PROJECT = """
import sys

import mainspring as ms


@ms.step
def loaded() -> list[str]:
    return [name for name in sys.modules if "." not in name]


@ms.pipeline
def plain():
    return loaded()
"""


def test_plain_steps_need_no_numpy_neither_in_their_process_nor_in_the_command(
    tmp_path: Path,
) -> None:
    (tmp_path / "project.py").write_text(_PLAIN_PROJECT)
    command = (
        "import sys\nfrom mainspring.cli.start import main\n"
        "main(['run', 'plain', '--json', '--home', 'home'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    asked = [sys.executable, "-c", command]
    said = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    *told, in_the_command = said.stdout.splitlines()
    run = json.loads("\n".join(told))["run"]
    with house(tmp_path) as ws:
        digest = ws.read(Permission.READ, lambda tx: output_of(tx, run["id"], "loaded"))[0]
        in_the_step = json.loads(ws.objects.get(digest))

    assert (run["status"], in_the_command) == ("finished", "[]")
    assert "msgspec" in in_the_step
    assert not {*HEAVY, "sqlalchemy"}.intersection(in_the_step)


@contextmanager
def house(folder: Path) -> Iterator[Workspace]:
    ws = open_workspace(Settings(root=str(folder), home=str(folder / "home")))
    try:
        yield ws
    finally:
        ws.close()


def test_handlers_of_other_rooms_are_loaded_once_when_a_kind_of_task_asks() -> None:
    loaded: list[str] = []

    def rest() -> dict[str, Any]:
        loaded.append("rest")
        return {"judge": "judging", "step": "not ours"}

    table = Table({"step": "stepping"}, rest)  # type: ignore[dict-item]
    before = table.get("step"), list(loaded)

    assert before == ("stepping", [])
    assert (table.get("judge"), table.get("nobody"), table["step"]) == (
        "judging",
        None,
        "stepping",
    )
    assert loaded == ["rest"]
