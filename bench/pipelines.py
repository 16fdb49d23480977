"""Pipelines, ours beside its peers in one run, each started as the tool's users would start it.

What is timed is a whole command, from its start to its end: a chain of 20 trivial steps, the same
again with nothing changed, 100 side by side and a join, four branches of a second, and going on
after the whole process tree was killed with kill -9 in the middle of the chain, with how often
steps ran that had been done before. Walls rise with other load: read the CPU beside them.

Peers live in environments of their own below ``--envs`` (default ``.venv-bench``), made on first
use; ``--only NAME,NAME`` leaves some out.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from orchestrators.tools import STEPS, TOOLS, Tool

ROOT = Path(__file__).parent.parent
WORK = Path(__file__).parent / "orchestrators" / "work.py"
LIMIT_S = 300
TASKS = {
    "chain": f"{STEPS} steps, one after the other",
    "again": "the same again",
    "fan": "100 side by side, and a join",
    "branches": "four branches of a second",
    "resume": "going on after kill -9",
}


class CannotError(Exception):
    """A tool that did not do it; the text says why."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--only", default=",".join(TOOLS))
    parser.add_argument("--tasks", default=",".join(TASKS))
    asked = parser.parse_args()
    names = [name for name in TOOLS if name in asked.only.split(",")]
    tasks = [task for task in TASKS if task in asked.tasks.split(",")]
    found = {name: measured(name, tasks, asked.envs) for name in names}
    show(found, tasks)
    return 0


def measured(name: str, tasks: list[str], envs: Path) -> dict[str, str | tuple[float, float, int]]:
    """Return wall and CPU seconds and steps done twice, by task; or the words for why not."""
    tool, bin_ = TOOLS[name], interpreter(name, envs)
    out: dict[str, str | tuple[float, float, int]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for task in tasks:
            print(f"  ... {name}: {task}", file=sys.stderr, flush=True)
            # A chain and the same again share a folder; every other task has its own.
            folder = Path(temporary) / ("chain" if task == "again" else task)
            try:
                if not folder.exists():
                    prepare(tool, folder, bin_)
                    if task == "again":
                        timed(tool, folder, bin_, "chain")
                out[task] = (
                    killed(tool, folder, bin_)
                    if task == "resume"
                    else timed(tool, folder, bin_, task)
                )
            except CannotError as error:
                out[task] = str(error)
    return out


def prepare(tool: Tool, folder: Path, bin_: str) -> None:
    """Write the tool's project into a new folder, and do what must be done once."""
    folder.mkdir(parents=True)
    shutil.copy(WORK, folder / "work.py")
    for name, text in tool.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/work.py"):
            shutil.copy(WORK, folder / name)
        else:
            (folder / name).write_text(text)
    for command in tool.first(bin_):
        subprocess.run(
            command, cwd=folder, env=environ(tool, folder, bin_), check=True, capture_output=True
        )


def environ(tool: Tool, folder: Path, bin_: str) -> dict[str, str]:
    """Return the environment of a tool's commands; byte code is kept, as it is at its users'."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    told = {key: value.format(folder=folder) for key, value in tool.environ.items()}
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    return {**kept, **told, "PATH": path, "BENCH_LOG": str(folder / "ran.log"), "CI": "1"}


def timed(tool: Tool, folder: Path, bin_: str, task: str) -> tuple[float, float, int]:
    """Return wall and CPU seconds of a command with its processes, and steps done twice."""
    command = tool.commands(bin_)[task]
    if command is None:
        raise CannotError("not there")
    before, start = _cpu_s(), time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ(tool, folder, bin_), capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CannotError(f"more than {LIMIT_S} s") from error
    wall, cpu = time.perf_counter() - start, _cpu_s() - before
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["failed"]
        print("\n".join(lines[-15:]), file=sys.stderr)
        raise CannotError("failed")
    return wall, cpu, repeated(folder, task)


def killed(tool: Tool, folder: Path, bin_: str) -> tuple[float, float, int]:
    """Kill a chain in its middle, with every process it has, and time how it goes on."""
    commands, held = tool.commands(bin_), folder / "held"
    if commands["resume"] is None:
        raise CannotError("not there")
    told = {**environ(tool, folder, bin_), "BENCH_HOLD": str(held)}
    first = subprocess.Popen(
        commands["chain"] or [], cwd=folder, env=told, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + LIMIT_S
    while not held.exists() and first.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    if not held.exists():
        raise CannotError("it never came to the middle")
    time.sleep(1)  # what is written behind the step's back may still be on its way
    for process in [
        *psutil.Process(first.pid).children(recursive=True),
        psutil.Process(first.pid),
    ]:
        process.send_signal(signal.SIGKILL)
    first.wait()
    return timed(tool, folder, bin_, "resume")


def repeated(folder: Path, task: str) -> int:
    """Return how often a step of the chain ran that had run to its end before."""
    log = folder / "ran.log"
    if task not in ("resume", "again") or not log.exists():
        return 0
    ran = len(log.read_text().split())
    return ran - STEPS - (task == "resume")  # the one that was killed has to run twice


def interpreter(name: str, envs: Path) -> str:
    """Return the bin folder of a tool's environment, made if it is not there."""
    tool = TOOLS[name]
    if not tool.packages:
        return str(Path(sys.executable).parent)
    place = envs / tool.distribution.removeprefix("sf-")
    if not (place / "bin" / "python").exists():
        print(f"  ... installing {name}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", *tool.packages], check=True)
    return str(place / "bin")


def version(name: str, envs: Path) -> str:
    """Return which release of a tool was measured."""
    named = TOOLS[name].distribution
    words = f"from importlib.metadata import version; print(version({named!r}))"
    python = f"{interpreter(name, envs)}/python"
    done = subprocess.run([python, "-c", words], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def show(found: dict[str, dict[str, str | tuple[float, float, int]]], tasks: list[str]) -> None:
    """Print seconds (CPU), and how many times as long as ours."""
    envs = (
        Path(sys.argv[sys.argv.index("--envs") + 1])
        if "--envs" in sys.argv
        else ROOT / ".venv-bench"
    )
    print(
        f"Seconds of the whole command (CPU seconds); Python {platform.python_version()},"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| | " + " | ".join(f"{name} {version(name, envs)}" for name in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for task in tasks:
        cells = [_cell(one[task], found.get("ours", {}).get(task), task) for one in found.values()]
        print(f"| {TASKS[task]} | " + " | ".join(cells) + " |")
    for name in found:
        if TOOLS[name].note:
            print(f"{name}: {TOOLS[name].note}.")


def _cell(one: str | tuple[float, float, int], ours: object, task: str) -> str:
    if isinstance(one, str):
        return one
    wall, cpu, again = one
    told = f"{wall:.2f} ({cpu:.2f})"
    if isinstance(ours, tuple) and ours[0] != wall:
        told += f", {wall / ours[0]:.1f}x"
    if task == "resume" or again:
        told += f", {again} done twice"
    return told


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
