"""What steps are forked from holds what tables and models need where the project speaks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.workspace.warm import speaking
from mainspring.workspace.warm.speaking import MODELS, PLAIN, TABLES


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
