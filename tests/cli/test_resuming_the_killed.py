"""A run whose whole process tree was killed goes on at once: nobody waits for a dead lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def test_a_killed_run_is_resumed_long_before_its_lease_ends(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    told, held = tmp_path / "told", tmp_path / "held"
    environ = {**os.environ, "TOLD": str(told), "MAINSPRING_LEASE_S": "3600"}
    first = command("run", "chain", environ={**environ, "HOLD": str(held)}, folder=tmp_path)
    end = time.monotonic() + 60
    while not held.exists() and time.monotonic() < end:
        assert first.poll() is None, first.stdout and first.stdout.read()
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)

    again = command("resume", "last", environ=environ, folder=tmp_path)
    said, _ = again.communicate(timeout=120)

    assert again.returncode == 0, said
    assert told.read_text().split() == ["first", "middle", "middle", "last"]
