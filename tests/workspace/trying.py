"""A project whose functions can be watched and held, for the tests of repeats and tunings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from mainspring.experiments import families, runs, tables
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

PROJECT = """
import os
import random
import time
from pathlib import Path

import numpy as np

import mainspring as ms

HERE = Path(__file__).parent


def note(name, **more):
    # One write, so that lines of several processes stay whole.
    with open(HERE / "calls.txt", "ab", buffering=0) as file:
        file.write(f"{name} {os.getpid()}\\n".encode())


def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.01)


def noisy(trees: int = 10, seed: int = 0):
    note(f"seed-{seed}")
    print("seed", seed)
    return {"auc": 0.7 + trees / 1000 + random.random() / 100, "draw": float(np.random.rand())}


def held(seed: int, hold: int = 2):
    note(f"seed-{seed}")
    if seed == hold:
        wait_for("go")
    ms.log(auc=0.5 + seed / 100)


def broken(seed: int):
    if seed % 2:
        raise ValueError(f"seed {seed} is odd")
    return 1.0


def curve(lr: float, kind: str = "a", hold: int = -1):
    number = ms.trial().number
    note(f"trial-{number}")
    if number == hold:
        wait_for("go")
    return {"auc": 1 - (lr - 0.3) ** 2 + (0.1 if kind == "b" else 0.0)}


def epochs(level: float, hold: int = -1):
    trial = ms.trial()
    note(f"trial-{trial.number}")
    for step in range(1, 28):
        if trial.number == hold and step == 3:
            wait_for("go")
        trial.report(level * step, step)
    return level * 27


def bad(x: int):
    raise RuntimeError("no luck")


def shy(x: int):
    return {"other": 1.0}


@ms.step
def fit(trees: int, seed: int) -> float:
    value = 0.7 + trees / 1000 + seed / 10_000
    ms.log(auc=value)
    return value


@ms.pipeline
def train(trees: int = 10, seed: int = 0) -> float:
    return fit(trees, seed)
"""


#: What these functions need of the fork server; scikit-learn takes it two seconds.
LIGHT = ("numpy", "polars", "mainspring.sdk", "mainspring.workspace.families.child")
_MAIN = f"""
import sys
from mainspring.workspace import opening
opening.PRELOAD = {LIGHT!r}
from mainspring.cli.start import main
sys.exit(main(sys.argv[1:]))
"""


#: Longer than a machine stands still: a lease that runs out while its worker lives has a call
#: done twice. What a killed one held is taken over at once, however long its lease was.
LEASE_S = 30.0


def put_to_sleep(process: subprocess.Popen[bytes], ws: Workspace) -> None:
    """Stop a process outside of a write: one asleep with SQLite's lock would hold everybody up."""
    for _ in range(100):
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # sent is not stopped
        probe = threading.Thread(
            target=ws.write, args=(Permission.LOG, lambda tx: tx.lease_now()), daemon=True
        )
        probe.start()
        probe.join(1)
        if not probe.is_alive():
            return
        process.send_signal(signal.SIGCONT)
        probe.join()
    raise AssertionError("it never stopped writing")


class Watched:
    """A project folder: what its functions were called for, and by which processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lease_s = LEASE_S  #: of the commands
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "project.py").write_text(PROJECT)

    def calls(self) -> list[str]:
        """Return the names of the calls that began, in order."""
        file = self.folder / "calls.txt"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def pids(self) -> list[int]:
        lines = (self.folder / "calls.txt").read_text().splitlines()
        return [int(line.split()[1]) for line in lines]

    def let_go(self) -> None:
        (self.folder / "go").touch()

    @contextmanager
    def command(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start a mainspring command in the folder; end it with kill -9 if it still runs."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *words],
            cwd=self.folder,
            env=environ | {"MAINSPRING_LEASE_S": str(self.lease_s)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def said(self, *words: str) -> dict:
        """Run a command to its end and return the JSON it printed."""
        with self.command(*words, "--json") as process:
            out, _ = process.communicate(timeout=120)
        return json.loads(out)


def every_run(ws: Workspace) -> list[Run]:
    """Return all runs of a home."""

    def look(tx: Tx) -> list[Run]:
        return runs.several(tx, [row.id for row in tx.all(select(tables.runs.c.id))])

    return ws.read(Permission.READ, look)


def begun(ws: Workspace) -> str:
    """Return the repeat or tuning that was started first."""
    return min(run.id for run in every_run(ws) if families.FAMILY in run.tags)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
