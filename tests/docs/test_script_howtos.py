"""The pages on loops around scripts and on training rows do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.pipelines import project

DOCS = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


def test_the_page_on_scripts_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    said = ""
    for language, block in BLOCK.findall((DOCS / "loop-around-a-script.md").read_text("utf-8")):
        if language == "python":
            name = block.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(block)
            if name == "make_data.py":
                exec(compile(block, name, "exec"), {})
            continue
        for line in block.splitlines():
            code, told = main(shlex.split(line)[1:]), capfd.readouterr()
            assert code == 0, (line, told)
            said += told.out + told.err
    project.close()
    assert "version churn/1: gate passed" in said, said
    assert "Loop churn is declared (version 1)." in said
    assert "may be loaded, while it stays so" in said
    assert not (tmp_path / "model.skops").exists()


def test_the_python_of_the_page_on_training_rows_runs() -> None:
    names: dict[str, object] = {}
    for language, block in BLOCK.findall((DOCS / "look-at-training-rows.md").read_text("utf-8")):
        if language == "python":
            exec(compile(block, "look-at-training-rows.md", "exec"), names)
    assert "ms" in names
