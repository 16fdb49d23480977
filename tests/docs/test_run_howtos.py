"""The Python of the pages on runs runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "howto"
PAGES = (
    "alarms.md",
    "four-eyes.md",
    "gate-in-ci.md",
    "compare-two-tables.md",
    "keep-a-contract.md",
    "run-again.md",
    "notebooks.md",
    "keep-more-than-metrics.md",
)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", block],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
