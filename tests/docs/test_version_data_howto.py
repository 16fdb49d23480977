"""The page on versions of data does what it says, commands and pipeline."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mainspring.cli.start import main

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "version-data.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "project"
    (here / "data" / "flights").mkdir(parents=True)
    (here / "data" / "flights" / "may.csv").write_text("day,delay\n1,5\n")
    (here / "prices.csv").write_text("fare\n100\n200\n")
    monkeypatch.chdir(here)
    for name in ("URL", "TOKEN", "ROOT", "HOME"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)
    said = ""
    for language, block in BLOCKS:
        if language == "python":
            (here / "project.py").write_text(block)
            assert main(["run", "flights", "--json"]) == 0, capfd.readouterr()
            capfd.readouterr()
            (here / "data" / "flights" / "june.csv").write_text("day,delay\n1,7\n")
            assert main(["data", "add", "data/flights"]) == 0
            assert main(["run", "flights"]) == 0, capfd.readouterr()
            said += capfd.readouterr().out
            continue
        for line in block.splitlines():
            assert main(shlex.split(line)[1:]) == 0, (line, capfd.readouterr())
            said += capfd.readouterr().out
    assert "flights@1 is new" in said
    assert "data flights: version 1 -> 2" in said
    assert (here / "somewhere" / "else" / "may.csv").is_file()
    assert (here / "here.csv").is_symlink()
    assert "flights@1 is removed" in said
