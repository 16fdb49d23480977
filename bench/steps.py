"""How long pipelines of trivial steps take: each step in its own process, durable after each.

The bare line beside it starts ``python -c pass`` once a step and keeps nothing. Other pipeline
tools are not installed with Mainspring and are not measured here.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.ground.version import __version__
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace

_COMMAND = str(Path(sys.executable).with_name("mainspring"))
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


@ms.step
def sometimes(value: int) -> int:
    from pathlib import Path

    Path("reached").touch()
    while Path("stuck").exists():
        time.sleep(0.01)
    return value


@ms.pipeline
def stuck(seed: int = 0):
    value = begin(seed)
    for number in range(9):
        value = add(value, number)
    value = sometimes(value)
    for number in range(9):
        value = add(value, number)
    return value


@ms.pipeline
def branches(seed: int = 0):
    return total([wait(seed, number) for number in range(4)])
"""


def run(ws: Workspace, pipeline: str, seed: int) -> tuple[float, float]:
    """Run a pipeline to its end; return seconds of wall, and of CPU, of its steps too."""
    start, cpu = time.perf_counter(), _cpu_s()
    name = running.start_run(ws, pipeline, {"seed": seed})
    ended = engines.drive(ws, name)
    if ended.status != "finished":
        raise SystemExit(f"{pipeline} is {ended.status}")
    return time.perf_counter() - start, _cpu_s() - cpu + _STEPS.pop()


class _Steps:
    """Counts what the processes of steps take: they are not our children, but their server's."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = []

    def count(self, ws: Workspace) -> None:
        """Count from now on."""
        executor = ws.executor
        run = executor.run

        def counted(call: Any, cancelled: Any = None) -> Any:
            outcome = run(call, cancelled)
            self.cpu_s.append(outcome.cpu_s)
            return outcome

        executor.run = counted  # type: ignore[method-assign]  # of this executor alone

    def pop(self) -> float:
        """Return the seconds since the last time it was asked."""
        total = sum(self.cpu_s)
        self.cpu_s.clear()
        return total


_STEPS = _Steps()


def _cpu_s() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def bare(steps: int) -> float:
    """Return the seconds that so many starts of Python take, one after the other."""
    start = time.perf_counter()
    for _ in range(steps):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def killed(root: Path) -> tuple[float, float, int]:
    """Kill an engine in the middle of a chain; return what going on takes, and steps run then.

    The lease of what was under way has run out before it is measured: how long that takes is a
    setting (``lease_s``), not a speed.
    """
    home = root / "killed"
    code = (
        "from mainspring.ground.settings import Settings\n"
        "from mainspring.workspace import engines, running\n"
        "from mainspring.workspace.opening import open_workspace\n"
        f"ws = open_workspace(Settings(root={str(root)!r}, home={str(home)!r}, lease_s=0.5))\n"
        "name = running.start_run(ws, 'stuck', {'seed': 1})\n"
        "print(name, flush=True)\n"
        "engines.drive(ws, name)\n"
    )
    (root / "stuck").touch()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        name = (one.stdout or sys.stdin).readline().strip()
        while not (root / "reached").exists():
            time.sleep(0.01)
        one.kill()
    (root / "stuck").unlink()
    ws = open_workspace(Settings(root=str(root), home=str(home), workers=4))
    try:
        _STEPS.count(ws)
        run(ws, "chain", 0)  # the fork server is warm
        time.sleep(0.6)  # the lease runs out
        start, cpu = time.perf_counter(), _cpu_s()
        ended = engines.drive(ws, name)
        wall, cpu = time.perf_counter() - start, _cpu_s() - cpu + _STEPS.pop()
        if ended.status != "finished":
            raise SystemExit(f"the killed run is {ended.status}")
        _, found = ws.read(Permission.READ, lambda tx: running.state(tx, name))
        return wall, cpu, sum(one.attempt for one in found) - len(found)
    finally:
        ws.close()


def commands(root: Path) -> tuple[float, float, float]:
    """Return wall and CPU of a cached re-run by the command, and the wall of its start alone."""
    env = {**os.environ, "MAINSPRING_HOME": str(root / "home")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([_COMMAND, "run", "chain", "-p", "seed=1"], check=True, cwd=root, env=env,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([_COMMAND, "--version"], check=True, stdout=subprocess.DEVNULL)
    alone = time.perf_counter() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, alone


def main() -> int:
    """Print how long each pipeline takes."""
    print(f"pipelines: seconds, mainspring {__version__}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "project.py").write_text(PROJECT, "utf-8")
        ws = open_workspace(Settings(root=str(root), home=str(root / "home"), workers=4))
        try:
            _STEPS.count(ws)
            run(ws, "chain", 0)  # the fork server starts, once
            one = bare(20)
            for label, pipeline, seed, steps, budget in (
                ("20-step chain", "chain", 1, 20, "0.6"),
                ("the same again, all reused", "chain", 1, 20, "0.2"),
                ("fan-out of 100 and join", "fan", 1, 102, "1"),
                ("four branches of 1 second", "branches", 1, 5, "1.3"),
            ):
                wall, cpu = run(ws, pipeline, seed)
                told = f"  {wall / steps * 1000:5.0f} ms a step" if pipeline != "branches" else ""
                print(f"  {label:<28}{wall:7.2f} wall {cpu:7.2f} CPU  budget {budget}{told}")
        finally:
            ws.close()
        wall, cpu, again = killed(root)
        print(
            f"  {'resumed after kill -9':<28}{wall:7.2f} wall {cpu:7.2f} CPU  budget 0.4", end=""
        )
        print(f"  {again} step run again")
        wall, cpu, alone = commands(root)
        print(f"  {'mainspring run, all reused':<28}{wall:7.2f} wall {cpu:7.2f} CPU", end="")
        print(f"  (mainspring --version: {alone:.2f} wall)")
        print(f"  {'20 x python -c pass':<28}{one:7.2f} wall")
    print("  (the walls rise with other load; the budgets are for an idle machine of 2 cores)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
