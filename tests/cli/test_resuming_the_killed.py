"""A run whose whole process tree was killed goes on at once; Ctrl-C leaves one that can go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from waiting import until

PROJECT = """
import os
import time
from pathlib import Path

import mainspring as ms


@ms.step
def first() -> int:
    note("first")
    return 1


@ms.step
def middle(value: int) -> int:
    note("middle")
    if os.environ.get("HOLD"):
        Path(os.environ["HOLD"]).touch()
        time.sleep(600)
    return value + 1


@ms.step
def last(value: int) -> int:
    note("last")
    return value + 1


@ms.pipeline
def chain():
    return last(middle(first()))


def note(name: str) -> None:
    with open(os.environ["TOLD"], "a") as file:
        file.write(name + "\\n")
"""


def command(*words: str, environ: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mainspring", *words],
        cwd=folder,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def holds(held: Path, ran: subprocess.Popen[str]) -> bool:
    """Return whether a step of a run holds."""
    assert ran.poll() is None, ran.stdout and ran.stdout.read()
    return held.exists()


def test_a_killed_run_is_resumed_long_before_its_lease_ends(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    told, held = tmp_path / "told", tmp_path / "held"
    environ = {**os.environ, "TOLD": str(told), "MAINSPRING_LEASE_S": "3600"}
    first = command("run", "chain", environ={**environ, "HOLD": str(held)}, folder=tmp_path)
    until(lambda: holds(held, first))
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)

    again = command("resume", "last", environ=environ, folder=tmp_path)
    said, _ = again.communicate(timeout=120)

    assert again.returncode == 0, said
    assert told.read_text().split() == ["first", "middle", "middle", "last"]


def test_ctrl_c_stops_the_run_and_its_steps_and_tells_programs_so(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    told, held = tmp_path / "told", tmp_path / "held"
    environ = {**os.environ, "TOLD": str(told), "HOLD": str(held)}
    ran = command("run", "chain", "--json-lines", environ=environ, folder=tmp_path)
    until(lambda: holds(held, ran))

    os.kill(ran.pid, signal.SIGINT)
    said, _ = ran.communicate(timeout=120)

    assert ran.returncode == 130, said
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert "stopping the run; Ctrl-C again leaves at once" in said
    events = [json.loads(line) for line in lines]
    first = [one["state"] for one in events if one.get("step") == "first"]
    assert first[-1] == "done"
    assert events[-1]["event"] == "end"
    assert events[-1]["run"]["status"] == "cancelled"
    assert told.read_text().split() == ["first", "middle"]
