"""A param or a pipeline that was not given as one is: what people are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = """
import mainspring as ms


@ms.step
def fit(folds: int):
    return folds


@ms.pipeline
def wine(folds: int = 3, rate: float = 0.1):
    return fit(folds)


@ms.pipeline
def beer():
    return fit(1)
"""


def test_params_without_p_and_pipelines_without_a_name_are_told_how(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "mainspring.toml").write_text("capture = false")
    (tmp_path / "project.py").write_text(PROJECT)
    for words in (("folds=5",), ("--folds", "5"), ("--folds=5",)):
        said = say("run", "wine", *words)
        assert said.code == 2
        assert "is given with -p, found" in said.err
        assert "mainspring run wine -p folds=5. wine takes folds, rate." in said.err
    other = say("run", "wine", "--smok")
    assert (other.code, "Did you mean --smoke?" in other.err) == (2, True)
    none = say("run")
    assert (none.code, "This project has wine, beer: mainspring run wine" in none.err) == (2, True)


def test_a_folder_of_dvc_without_a_project_is_told_the_way(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    said = say("run", "train")
    assert said.code == 2
    assert "There is no project.py" in said.err
    assert "mainspring data import-dvc ." in said.err
    assert "come-from-other-pipelines.md" in said.err
