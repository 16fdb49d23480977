"""How long pipelines of trivial steps take: each step in its own process, durable after each.

The bare line beside it starts ``python -c pass`` once a step and keeps nothing. Other pipeline
tools are not installed with Mainspring and are not measured here.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mainspring.ground.settings import Settings
from mainspring.ground.version import __version__
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = """
import time

import mainspring as ms


@ms.step
def begin(seed: int) -> int:
    return seed


@ms.step
def add(value: int, more: int) -> int:
    return value + more


@ms.step
def total(values: list[int]) -> int:
    return sum(values)


@ms.step
def wait(seed: int, number: int) -> int:
    time.sleep(1)
    return number


@ms.pipeline
def chain(seed: int = 0):
    value = begin(seed)
    for number in range(19):
        value = add(value, number)
    return value


@ms.pipeline
def fan(seed: int = 0):
    value = begin(seed)
    return total([add(value, number) for number in range(100)])


@ms.pipeline
def branches(seed: int = 0):
    return total([wait(seed, number) for number in range(4)])
"""


def run(ws: Workspace, pipeline: str, seed: int) -> tuple[float, float]:
    """Run a pipeline to its end; return seconds of wall, and of this process's CPU."""
    start, cpu = time.perf_counter(), _cpu_s()
    name = running.start_run(ws, pipeline, {"seed": seed})
    ended = engines.drive(ws, name)
    if ended.status != "finished":
        raise SystemExit(f"{pipeline} is {ended.status}")
    return time.perf_counter() - start, _cpu_s() - cpu


def _cpu_s() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def bare(steps: int) -> float:
    """Return the seconds that so many starts of Python take, one after the other."""
    start = time.perf_counter()
    for _ in range(steps):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def main() -> int:
    """Print how long each pipeline takes."""
    print(f"pipelines: seconds, mainspring {__version__}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "project.py").write_text(PROJECT, "utf-8")
        ws = open_workspace(Settings(root=str(root), home=str(root / "home"), workers=4))
        try:
            run(ws, "chain", 0)  # the fork server starts, once
            one = bare(20)
            for label, pipeline, seed, steps, budget in (
                ("20-step chain", "chain", 1, 20, "0.6"),
                ("the same again, all reused", "chain", 1, 20, "0.2"),
                ("fan-out of 100 and join", "fan", 1, 102, "1"),
                ("four branches of 1 second", "branches", 1, 5, "1.3"),
            ):
                wall, cpu = run(ws, pipeline, seed)
                least = 1.0 if pipeline == "branches" else one / 20 * steps
                beside = "the second itself" if pipeline == "branches" else "bare starts"
                print(
                    f"  {label:<28}{wall:7.2f} wall {cpu:7.2f} CPU of the driver"
                    f"  {wall / least:6.2f} x {beside}  budget {budget}"
                )
            print(f"  {'20 x python -c pass':<28}{one:7.2f} wall")
        finally:
            ws.close()
    print("  (the walls rise with other load; the budgets are for an idle machine of 2 cores)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
