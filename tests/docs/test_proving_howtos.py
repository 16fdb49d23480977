"""The project and the tests that the page on testing shows run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "test-your-project.md"
BLOCK = re.compile(r"```python\n(# (\S+)\n.*?)```", re.DOTALL)


def test_the_tests_that_the_page_shows_pass(tmp_path: Path) -> None:
    (tmp_path / "mainspring.toml").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for block, name in BLOCK.findall(PAGE.read_text("utf-8")):
        (tmp_path / name).write_text(block)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for words in (("test", "-q"), ("evidence", "--kind", "tests")):
        done = subprocess.run(
            [sys.executable, "-m", "mainspring", *words],
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 tests passed" in done.stdout
        assert "100% of the lines of 2 steps ran" in done.stdout
