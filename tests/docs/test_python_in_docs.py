"""Every Python example of the pages named here runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (
    "docs/howto/track-runs.md",
    "docs/howto/look-at-runs.md",
    "docs/howto/judge-late-labels.md",
    "docs/howto/declare-a-gate.md",
    "docs/howto/prove-a-version.md",
    "docs/howto/when-to-retrain.md",
    "docs/howto/freeze-and-pause.md",
    "docs/howto/serve-any-model.md",
    "docs/howto/graphs-of-models.md",
)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run_one_after_another(page: str, tmp_path: Path) -> None:
    blocks = _PYTHON.findall((ROOT / page).read_text("utf-8"))
    assert blocks
    home = {"MAINSPRING_HOME": str(tmp_path / "home"), "MAINSPRING_CAPTURE": "false"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**kept, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
