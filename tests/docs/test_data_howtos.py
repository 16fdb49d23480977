"""The Python and the commands of the pages on what steps hand on and on data run as they stand."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mainspring.cli.start import main
from mainspring.ground.unpacking import unpack

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs" / "howto"
PAGES = (
    "what-steps-hand-on.md",
    "larger-than-memory.md",
    "compare-data-versions.md",
    "come-from-dvc.md",
)
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("MAINSPRING_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flights.csv").write_text("day,late\n1,0.5\n2,1.5\n")
    with contextlib.closing(sqlite3.connect("shop.db")) as made:
        made.executescript("create table orders (id, amount); insert into orders values (1, 2);")
    with tarfile.open(TESTS / "workspace" / "from_dvc" / "repository.tar.xz") as held:
        unpack(held, tmp_path)
    (tmp_path / "repository").rename(tmp_path / "old-project")
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    assert blocks
    for language, block in blocks:
        if language == "sh":
            for line in block.splitlines():
                assert main(shlex.split(line)[1:]) == 0, line
        else:
            (tmp_path / "example.py").write_text(block)
            words = [sys.executable, "-W", "error", "example.py"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
