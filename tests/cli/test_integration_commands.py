"""The commands of the written workflow are run one by one, in a clean clone of a change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

PROJECT = """
import mainspring as ms
import polars as pl
from sklearn.linear_model import LogisticRegression


@ms.step
def read(rows: str) -> pl.DataFrame:
    return pl.read_csv(rows)


@ms.step
def fit(table: pl.DataFrame, strength: float) -> ms.FittedModel:
    return ms.Model(LogisticRegression(C=strength), "y", "binary").fit(table)


@ms.pipeline
def signs(rows: str = "rows.csv", strength: float = 1.0) -> ms.FittedModel:
    return fit(read(rows), strength)
"""
GATE = "[gates.signs]\nat_least = { auc = 0.6 }\nmax_latency_ms = 60000\n"


class Place:
    """A folder in which commands are run as a service would run them."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        aside = ("MAINSPRING_", "GIT_", "GITHUB_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(aside)}
        own = Path(sys.executable).parent
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
        }
        path = f"{tools}:{own}:{kept['PATH']}"
        self.environ = kept | identity | {"PATH": path, "PIP_NO_INDEX": "1"}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def said(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def origin(tmp_path: Path) -> Place:
    """A project in git, with the workflow that ci init wrote, and a change on a branch."""
    tools = tmp_path / "tools"
    tools.mkdir()
    home = tmp_path / "origin"
    home.mkdir()
    place = Place(home, tools)
    (home / "project.py").write_text(PROJECT)
    (home / "mainspring.toml").write_text(GATE)
    (home / ".gitignore").write_text(".mainspring/\n__pycache__/\n")
    draw = np.random.default_rng(3)
    a = draw.normal(size=400)
    rows = pl.DataFrame({"a": a, "b": draw.normal(size=400)})
    noisy = a + draw.normal(size=400) > 0
    rows.with_columns(y=pl.Series(noisy.astype(int))).write_csv(home / "rows.csv")
    told = place.said("mainspring ci init github")
    assert "mainspring.yml reports on every change against main" in told
    place.said("git init -q -b main . && git add -A && git commit -q -m First.")
    place.said("git checkout -q -b weaker")
    (home / "project.py").write_text(PROJECT.replace("float = 1.0", "float = 0.001"))
    place.said("git commit -q -a -m Weaker.")
    return place


def cloned(origin: Place, tmp_path: Path, name: str) -> Place:
    clean = Place(tmp_path / name, tmp_path / "tools")
    origin.said(f"git clone -q --branch weaker {origin.folder} {clean.folder}")
    return clean


def test_the_workflow_runs_in_a_clean_clone(origin: Place, tmp_path: Path) -> None:
    clean = cloned(origin, tmp_path, "clean")
    file = clean.folder / ".github" / "workflows" / "mainspring.yml"
    steps = yaml.safe_load(file.read_text())["jobs"]["report"]["steps"]
    clean.environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    for step in steps:
        if "run" in step:
            said = clean.said(step["run"])
    assert "No comment was written: this is no job of GitHub or GitLab." in said
    assert (tmp_path / "summary.md").read_text() == (clean.folder / "report.md").read_text()
    report = (clean.folder / "report.md").read_text()
    assert report.startswith("## ✅ signs: the gate passed")
    assert "against origin/main at" in report
    line = next(one for one in report.splitlines() if one.startswith("| loss |"))
    assert line.endswith("certain |")
    assert "certain" in line
    assert "No champion: signs has none here." in report
    assert "| strength | 1.0 | 0.001 |" in report.replace("\\", "")
    assert "xychart-beta" in report
    assert "### Gate of signs/2: passed" in report
    assert 'name="metric auc"' in (clean.folder / "gate.xml").read_text()
    # What the change did not touch is computed once: the table was read by the base's run.
    steps_of_head = clean.said("mainspring show last --json")
    assert '"reused"' in steps_of_head

    done = clean.run(
        "echo '# mine' >> .github/workflows/mainspring.yml; mainspring ci init github"
    )
    assert done.returncode == 1
    assert "is there already" in done.stderr
