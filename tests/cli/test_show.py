"""``mainspring show``: one run with all that belongs to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mainspring as ms


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Any) -> str:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / ".mainspring"))
    monkeypatch.delenv("MAINSPRING_RUN", raising=False)
    tags = {
        "mainspring.git.commit": "abc123", "mainspring.git.dirty": "true", "team": "red",
        "mainspring.not_captured": "git: no",
    }  # fmt: skip
    with ms.run("exp", name="first", params={"lr": 0.1, "note": "\x1b[31mred"}, tags=tags) as run:
        for step, loss in enumerate([0.5, math.nan, 0.25, 0.75]):
            run.log(loss=loss, step=step)
        run.log({"system/memory_mb": 12.0}, odd=math.inf)
        run.log_text("x" * 2048, "out/a.txt")
        with ms.run("exp", name="inner") as inner:
            inner.log(auc=0.5)
    return run.id


def test_people_read_what_it_was_and_what_came_of_it(say: Callable[..., Any], run: str) -> None:
    said = say("show", run)
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for wanted in (
        "name first", "commit abc123 with uncommitted changes", "not captured git: no",
        "lr 0.1", "note ?[31mred", "loss 0.75 0.25 at 2 0.75 at 3 4", "odd inf 1",
        "METRIC LAST LOWEST HIGHEST POINTS", "LOAD LAST LOWEST HIGHEST POINTS",
        "system/memory_mb 12 12 at 0 12 at 0 1", "team red", "out/a.txt 2.0 KB",
    ):  # fmt: skip
        assert wanted in lines, wanted
    assert any(line.endswith("finished inner auc 0.5") for line in lines)
    assert "\x1b" not in said.out


def test_programs_get_it_all(say: Callable[..., Any], run: str) -> None:
    about = say("show", run, "--json").json
    loss = next(one for one in about["metrics"] if one["key"] == "loss")
    assert loss == {
        "key": "loss", "last": 0.75, "low": 0.25, "low_step": 2, "high": 0.75, "high_step": 3,
        "points": 4,
    }  # fmt: skip
    assert [one["path"] for one in about["artifacts"]] == ["out/a.txt"]
    assert (about["child_count"], about["children"][0]["parent"]) == (1, run)
    assert (about["run"]["name"], about["steps"], about["versions"]) == ("first", [], [])


def test_long_lists_are_cut_and_say_so(
    say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / ".mainspring"))
    monkeypatch.delenv("MAINSPRING_RUN", raising=False)
    with ms.run("exp", params={f"p{n:03}": n for n in range(60)}) as run:
        run.log({f"m{n:03}": float(n) for n in range(60)})
    out = say("show", run.id).out
    assert out.count("and 20 more; all of it: --json") == 2
    metrics = say("show", run.id, "--json").json["metrics"]
    assert (len(metrics), metrics[49]["points"], metrics[59]["points"]) == (60, 1, None)
    assert metrics[59]["last"] == 59.0


def test_a_run_of_a_repository_without_commits_says_so(
    say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / ".mainspring"))
    with ms.run("exp", tags={"mainspring.git.dirty": "true"}, capture=False) as found:
        found.log(x=1.0)
    lines = [" ".join(line.split()) for line in say("show", found.id).out.splitlines()]
    assert "commit none yet with uncommitted changes" in lines
