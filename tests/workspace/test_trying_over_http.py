"""Repeats, tunings and the queue, asked of a server, and carried out by its engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from trying import Watched, every_run

from waiting import until


def test_a_servers_engine_does_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path / "project")
    monkeypatch.chdir(watched.folder)
    up = watched.said("up", "--port", "0", "--detach")
    url = ("--url", up["url"])
    try:
        seeds = ("--seeds", "0,1,2,3,4,5")
        small = watched.said("repeat", "project:noisy", *seeds, "-p", "trees=10", *url)
        large = watched.said("repeat", "project:noisy", *seeds, "-p", "trees=40", *url)
        assert (small["done"], large["run"]["status"]) == (6, "finished")
        sides = (large["run"]["id"], small["run"]["id"])
        found = watched.said("versus", *sides, "--metric", "auc", "--better", "higher", *url)
        assert (found["verdict"], found["exact_p"]) == ("A", 2 / 64)
        assert found["difference"] == pytest.approx(0.03)

        space = ("--space", "lr=float(0,1)", "--space", "kind=['a','b']")
        tuned = watched.said("tune", "project:curve", *space, "--trials", "3", *url)
        assert (tuned["done"], tuned["run"]["status"]) == (3, "finished")
        assert set(tuned["best_params"]) == {"lr", "kind"}

        added = watched.said("queue", "add", "--target", "project:noisy", *url)["run"]
        words = ("queue", "add", "--json", *url, "--", "sh", "-c", "echo done > made.txt")
        with watched.command(*words) as process:
            assert process.wait(60) == 0
        until(lambda: (watched.folder / "made.txt").exists())
        until(lambda: watched.said("queue", "list", *url) == [])
        listed = watched.said("queue", "list", "--all", *url)
        assert {one["state"] for one in listed} == {"finished"}
        assert added in {one["run"] for one in listed}
    finally:
        watched.said("stop")
    ws = open_workspace(load())
    try:
        assert "running" not in {str(run.status) for run in every_run(ws)}
    finally:
        ws.close()
