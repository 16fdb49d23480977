"""The pages on shapes and on waiting run as they stand, the second one with its commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def written(page: str, folder: Path) -> None:
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    (folder / "project.py").write_text("\n\n".join(blocks))


def said(folder: Path, *words: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    env["MAINSPRING_HOME"] = str(folder / "home")
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_on_shapes_runs_as_plain_python_and_as_a_run(tmp_path: Path) -> None:
    written("shape-a-pipeline.md", tmp_path)
    out = said(tmp_path, "project.py")
    assert out == "much: 35 caught a ValueError 100 KeyError in item 2: 3\n"
    told = json.loads(said(tmp_path, "-m", "mainspring", "run", "report", "--json"))
    assert told["run"]["status"] == "finished"
    states = {step["step"]: step["state"] for step in told["steps"]}
    assert states["sales[2]"] == "done"


def test_a_run_leaves_while_it_waits_and_goes_on_with_the_answer(tmp_path: Path) -> None:
    written("wait-for-somebody.md", tmp_path)
    ms = ("-m", "mainspring")
    out = said(tmp_path, *ms, "run", "release")
    assert "waits; see mainspring waiting" in out
    [found] = json.loads(said(tmp_path, *ms, "waiting", "--json"))
    assert (found["step"], found["message"]) == ("release", "Is it good enough?")
    out = said(tmp_path, *ms, "approve-step", "last", "release", "--reason", "Recall is fine.")
    assert "approved by" in out
    assert "finished" in out
    said(tmp_path, *ms, "run", "labelled", "--quiet")
    token = json.loads((tmp_path / "order.json").read_text())["token"]
    told = json.loads(said(tmp_path, *ms, "answer", token, "--value", "0.93", "--json"))
    assert told["step"] == "labels"
