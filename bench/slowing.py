"""How much a training is slowed by logging: alone, into a home, and to a server that is away.

A training step is a matrix product of about 2 ms; it logs two metrics. The three take turns, so
that other load on the machine meets all of them alike; each figure is the median over the turns
of a turn's time beside that of the training alone. The server is away for ever: nothing listens.
"""

from __future__ import annotations

import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mainspring.ground.settings import load
from mainspring.ground.version import __version__
from mainspring.workspace.tracking.active import ActiveRun
from mainspring.workspace.tracking.planning import plan_of
from mainspring.workspace.tracking.writing import target_of

TURNS, STEPS, SIZE = 15, 250, 320
AWAY = "http://127.0.0.1:9"  # the discard port: nobody answers


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = run_at(folder, None)
        away = run_at(folder / "far", AWAY)
        logs: dict[str, ActiveRun | None] = {
            "alone": None,
            "a home": home,
            "a server that is away": away,
        }
        taken: dict[str, list[tuple[float, float]]] = {key: [] for key in logs}
        for turn in range(TURNS):
            for key in rotated(list(logs), turn):
                taken[key].append(train(logs[key]))
        print(f"slowing: mainspring {__version__}, Python {platform.python_version()}")
        alone = statistics.median(wall for wall, _ in taken["alone"]) / STEPS * 1000
        print(f"  a step alone {alone:.2f} ms; {TURNS} turns of {STEPS} steps, budget 1 %")
        for key in list(logs)[1:]:
            for index, what in enumerate(("wall", "CPU of the process, its sender too")):
                pairs = zip(taken[key], taken["alone"], strict=True)
                more = [one[index] / beside[index] - 1 for one, beside in pairs]
                print(f"  {key:<24}{what:<38}{statistics.median(more):+.2%}")
    return 0


def run_at(folder: Path, url: str | None) -> ActiveRun:
    """Return a run that writes to a home, or for a server."""
    folder.mkdir(exist_ok=True)
    (folder / "mainspring.toml").write_text("")
    target = target_of(load({"url": url, "home": str(folder / "home")}, start=folder, environ={}))
    plan = plan_of("slowing", None, None, None, None, None, None, capture=False)
    return ActiveRun(plan, target).start()


def train(run: ActiveRun | None) -> tuple[float, float]:
    """Return the wall and the CPU seconds of one turn."""
    weights = np.random.default_rng(0).normal(size=(SIZE, SIZE)) / SIZE
    values = weights
    start, cpu = time.perf_counter(), used()
    for step in range(STEPS):
        values = np.tanh(values @ weights) + weights
        loss = float(values[0, 0])
        if run is not None:
            run.log(loss=loss, twice=2 * loss, step=step)
    return time.perf_counter() - start, used() - cpu


def used() -> float:
    """Return the CPU seconds that this process has taken."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def rotated(names: list[str], turn: int) -> list[str]:
    """Return the names with another one first each turn."""
    at = turn % len(names)
    return names[at:] + names[:at]


if __name__ == "__main__":
    sys.exit(main())
