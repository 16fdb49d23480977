"""The page for who comes from another tool of pipelines can be followed as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "come-from-other-pipelines.md"
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


def test_the_page_can_be_followed(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    env["MAINSPRING_HOME"] = str(tmp_path / "home")
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    said = []
    for language, block in BLOCK.findall(PAGE.read_text("utf-8")):
        words = ["bash", "-e", "-c", block]
        if language == "python":
            name = block.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(block)
            if name != "afterwards.py":
                continue
            words = [sys.executable, "-W", "error", name]
        done = subprocess.run(
            words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    shown, read = said
    assert "param share" not in shown.partition("finished")[0]
    assert "part 'train' of it" in shown
    assert read.splitlines() == [
        "steep, shown on 50 rows",
        "{'flat/error': 49.0, 'steep/error': 0.0} steep",
    ]
    assert sorted(one.name for one in (tmp_path / "out").rglob("*.csv")) == [
        "test.csv",
        "train.csv",
    ]
