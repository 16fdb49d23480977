"""A step stays within its memory, and what it may know is told to nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.backends.executors.memory import used
from mainspring.cli.start import main
from mainspring.ground.objects import RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import os, subprocess, sys, time

import numpy as np

import mainspring as ms


@ms.step(resources={"memory": "300MB"})
def hungry(beside: bool) -> int:
    if beside:
        code = "held = bytearray(500_000_000); import time; time.sleep(600)"
        subprocess.run([sys.executable, "-c", code])
    held = [np.ones(5_000_000) for _ in range(12)]
    time.sleep(600)
    return len(held)


@ms.step(resources={"memory": "300MB"})
def modest() -> int:
    np.empty(4_000_000_000 // 8)  # asked for, and never touched
    return int(np.ones(5_000_000).sum())


@ms.step(secrets=["SERVICE_KEY"])
def asks(place: str, fails: bool) -> int:
    key = os.environ["SERVICE_KEY"]
    print("the key is", key, flush=True)
    subprocess.run(["sh", "-c", "echo again $SERVICE_KEY"])
    if fails:
        raise ValueError(f"refused: {key}")
    return len(key)


@ms.pipeline
def eats(beside: bool = False):
    hungry(beside)


@ms.pipeline
def eats_little():
    return modest()


@ms.pipeline
def uses(place: str = "nowhere", fails: bool = False):
    return asks(place, fails)
"""
KEY = "hush-hush/42 and more"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "project.py").write_text(PROJECT)
    found = open_workspace(Settings(root=str(folder), home=str(folder / "home")))
    yield found
    found.close()


def carried_out(home: Workspace, pipeline: str, **params: object) -> tuple[RunStatus, StepRecord]:
    run = running.start_run(home, pipeline, params)
    status = engines.drive(home, run).status
    return status, home.read(Permission.READ, lambda tx: running.state(tx, run))[1][0]


@pytest.mark.parametrize("beside", [False, True])
def test_a_step_beyond_its_memory_is_ended_and_told_both_figures(
    home: Workspace, beside: bool
) -> None:
    status, step = carried_out(home, "eats", beside=beside)
    assert status is RunStatus.FAILED
    assert step.error.startswith("Step hungry used ")
    assert step.error.endswith("MB of memory and was ended; its limit is 300 MB.")
    assert step.attempt == 1


def test_what_is_only_reserved_does_not_count(home: Workspace, tmp_path: Path) -> None:
    _, step = carried_out(home, "eats_little")
    assert step.output is not None, step.error
    assert outputs.decode(step.output, step.output_type or "", home.objects, tmp_path) == 5_000_000


def test_memory_is_that_of_all_processes_below() -> None:
    code = "held = bytearray(b'1') * 50_000_000; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert used(child.pid) > 50_000_000
        child.communicate(b"\n")
    assert used(child.pid) == 0


def test_a_step_whose_secret_is_nowhere_fails_before_it_starts(home: Workspace) -> None:
    status, step = carried_out(home, "uses")
    assert status is RunStatus.FAILED
    assert "Step asks needs the secret SERVICE_KEY" in step.error
    assert "mainspring secret set SERVICE_KEY" in step.error
    assert (step.attempt, step.log) == (0, None)


def test_a_secret_may_be_the_first_thing_that_a_home_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.cli.secrets._asked", lambda _: KEY)
    home = str(tmp_path / "new")
    assert main(["secret", "set", "SERVICE_KEY", "--home", home]) == 0
    assert main(["secret", "list", "--home", home]) == 0


@pytest.mark.parametrize("place", ["environment", "store"])
def test_a_secret_reaches_the_step_and_nothing_else(
    home: Workspace,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if place == "environment":
        monkeypatch.setenv("SERVICE_KEY", KEY)
    else:
        monkeypatch.setattr("mainspring.cli.secrets._asked", lambda _: KEY)
        assert main(["secret", "set", "SERVICE_KEY", "--home", str(home.home)]) == 0
        capsys.readouterr()
        assert main(["secret", "list", "--json", "--home", str(home.home)]) == 0
        said = capsys.readouterr().out
        assert KEY not in said
        assert json.loads(said)[0]["name"] == "SERVICE_KEY"
    _, well = carried_out(home, "uses", place=place)
    assert well.output is not None, well.error
    assert home.objects.get(well.log or "") == b"the key is ***\nagain ***\n"
    status, broken = carried_out(home, "uses", place=place, fails=True)
    assert status is RunStatus.FAILED
    assert "refused: ***" in broken.error
    assert "hush" not in broken.error + broken.trace
    for file in home.home.rglob("*"):
        if file.is_file():
            assert b"hush-hush" not in file.read_bytes(), file
    if place == "store":
        assert main(["secret", "remove", "SERVICE_KEY", "--home", str(home.home)]) == 0
        assert main(["secret", "remove", "SERVICE_KEY", "--home", str(home.home)]) == 2
