"""The Python and the commands of the pages on trying things out run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "howto"
PAGES = ("repeat-and-compare.md", "tune.md", "queue.md", "autolog.md")
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(page: str, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"

    def run(words: list[str]) -> None:
        done = subprocess.run(
            words, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    for language, block in BLOCK.findall((DOCS / page).read_text("utf-8")):
        if language == "sh":
            for line in block.splitlines():
                if "RUN_" not in line:  # what stands for something that differs each time
                    run([sys.executable, "-m", *shlex.split(line)])
        elif block.startswith("# train.py"):
            (tmp_path / "train.py").write_text(block)
        else:
            run([sys.executable, "-W", "error", "-c", block])
