"""What a command starts for one run holds what fits models only where the project speaks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.workspace.opening import _speaks_of_models


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("project.py", "import polars", False),
        ("project.py", "from sklearn.svm import SVC", True),
        ("features/fit.py", "ms.Model(make())", True),
        (".venv/lib.py", "import sklearn", False),
        ("notes.txt", "sklearn", False),
    ],
)
def test_a_project_speaks_of_models_or_not(
    tmp_path: Path, name: str, text: str, found: bool
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)

    assert _speaks_of_models(tmp_path) is found


def test_so_many_files_are_taken_to_speak_of_everything(tmp_path: Path) -> None:
    for number in range(301):
        (tmp_path / f"part_{number}.py").write_text("")

    assert _speaks_of_models(tmp_path)
