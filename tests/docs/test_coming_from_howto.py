"""The page for who comes from another tool of pipelines can be followed as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.pipelines import project

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "come-from-other-pipelines.md"
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "ROOT", "PORT", "HOST"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    said = ""
    for language, block in BLOCK.findall(PAGE.read_text("utf-8")):
        if language == "python":
            (tmp_path / block.partition("\n")[0].removeprefix("# ")).write_text(block)
            continue
        for line in block.splitlines():
            code, told = main(shlex.split(line)[1:]), capfd.readouterr()
            assert code == 0, (line, told)
            said += told.out
    project.close()
    assert "part 'train' of it" in said
    words = [sys.executable, "-W", "error", "afterwards.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "steep, shown on 50 rows",
        "{'flat/error': 49.0, 'steep/error': 0.0} steep",
    ]
    made = sorted(one.name for one in (tmp_path / "out").rglob("*.csv"))
    assert made == ["test.csv", "train.csv"]
