"""The project that the page on bias, traffic and age shows is one: it can be declared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "watch-bias-traffic-and-age.md"
ASKED = """
import polars as pl
import project
from mainspring.pipelines.monitors import findings_of

policy = project.monitor
assert [one.target for one in policy.custom] == ["project:night_share", "project:worst_branch"]
assert [one.on for one in policy.custom] == ["inputs", "labels"]
assert [one.column for one in policy.bias] == ["sex", "age", "branch"]
rows = pl.DataFrame({"hour": [1, 23], "branch": ["a", "b"], "_y": [0.0, 1.0]})
assert findings_of("night_share", project.night_share(rows))[0].value == 0.5
assert findings_of("w", project.worst_branch(rows))[0].value == 0.0
"""


def test_the_page_shows_a_project(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "project.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
