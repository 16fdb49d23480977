"""Tracking, ours beside its peers in one run: points, short runs, histories, files, what survives.

Peers live in environments of their own below ``--envs`` (default ``.venv-bench``), made on first
use. Each figure is from a process of its own, one after the other; ``--quick`` makes fewer points
and ``--only NAME,NAME`` leaves peers out. Walls rise with other load on the machine: read the
ratios, and the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
TASK = Path(__file__).parent / "trackers" / "task.py"
ENVIRONMENTS = {
    "mlflow": ["mlflow==3.17.2"],
    "trackio": ["trackio"],
    "wandb": ["wandb"],
    "aim": ["aim"],
}
#: name -> (environment or None for ours, module of bench/trackers, server or None, slowness)
CONTENDERS: dict[str, tuple[str | None, str, str | None, int]] = {
    "ours": (None, "of_mainspring", None, 1),
    "ours HTTP": (None, "of_mainspring", "ours", 1),
    "mlflow on ours": ("mlflow", "of_mlflow", "ours", 50),
    "mlflow SQLite": ("mlflow", "of_mlflow", None, 50),
    "mlflow server": ("mlflow", "of_mlflow", "mlflow", 200),
    "trackio": ("trackio", "of_trackio", None, 1),
    "wandb offline": ("wandb", "of_wandb", None, 5),
    "aim": ("aim", "of_aim", None, 5),
}
#: task -> (count, the figures it gives and how they are headed, whether more is better)
TASKS: dict[str, tuple[int, dict[str, tuple[str, bool]]]] = {
    "points": (
        50_000,
        {
            "us_a_call": ("us a log call, one point (median)", False),
            "points_a_second": ("points/s until readable, one a call", True),
            "cpu_us_a_point": ("CPU us a point, server and all", False),
        },
    ),
    "tens": (
        100_000,
        {
            "points_a_second": ("points/s until readable, ten a call", True),
            "cpu_us_a_point": ("CPU us a point, ten a call", False),
        },
    ),
    "killed": (500, {"count": ("of 500 acknowledged points after kill -9", True)}),
    "short": (200, {"runs_a_second": ("short runs/s (20 params, 50 points)", True)}),
    "history": (100_000, {"ms": ("ms to load a history, for 100,000 points", False)}),
    "artifact": (
        200,
        {
            "in_mb_s": ("MB/s in, a file of 200 MB, hashed", True),
            "out_mb_s": ("MB/s out, its bytes compared", True),
        },
    ),
    "writers": (10_000, {"points_a_second": ("points/s, two processes at once", True)}),
    "importing": (0, {"cpu_ms": ("CPU ms to import", False)}),
}
#: What a slow tracker is spared of.
SLOWER = {"points", "tens", "history", "short", "writers"}
LIMIT_S = 600


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--only", default=",".join(CONTENDERS))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the points")
    asked = parser.parse_args()
    names = [name for name in CONTENDERS if name in asked.only.split(",")]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    versions: dict[str, str] = {}
    for name in names:
        python = interpreter(CONTENDERS[name][0], asked.envs)
        for task in asked.tasks.split(","):
            print(f"  ... {name}: {task}", file=sys.stderr, flush=True)
            count = how_many(name, task, quick=asked.quick)
            found.setdefault(task, {})[name] = measured = measure(name, python, task, count)
            versions[name] = measured.get("version", versions.get(name, "?"))
    show(names, found, versions)
    show_sizes(names, asked.envs)
    return 0


def how_many(name: str, task: str, *, quick: bool) -> int:
    """Return how many points, runs or megabytes a contender is given."""
    count = TASKS[task][0]
    if task not in SLOWER:
        return count
    slow = CONTENDERS[name][3]
    if task == "short":
        return max(5, count // (10 if slow > 5 else 1) // (2 if quick else 1))
    return max(300, count // slow // (10 if quick else 1))


def measure(name: str, python: str, task: str, count: int) -> dict[str, Any]:
    """Return the figures of one contender at one task, from a fresh folder."""
    _, module, server, _ = CONTENDERS[name]
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        environ = {
            **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            "BENCH_FOLDER": str(folder),
        }
        with served(server, python, folder, environ) as pid:
            before = cpu_of(pid)
            result = perform(python, module, task, folder, count, environ)
            if pid is not None and "cpu_us_a_point" in result:
                result["cpu_us_a_point"] += (cpu_of(pid) - before) / count * 1e6
            return result


def perform(
    python: str, module: str, task: str, folder: Path, count: int, environ: dict[str, str]
) -> dict[str, Any]:
    """Return what a tracker's own process says of a task."""

    def asked(what: str, argument: object) -> subprocess.Popen[str]:
        command = [python, str(TASK), module, what, str(folder), str(argument)]
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    if task == "writers":
        first = answer(asked("points", 100))  # makes the store: what is measured is the writing
        both = [answer(one) for one in [asked("points", count), asked("points", count)]]
        bad = [one for one in (first, *both) if "why" in one]
        if bad:
            return bad[0]
        return {**both[0], "points_a_second": sum(one["points_a_second"] for one in both)}
    told = answer(asked(task, count))
    if task == "killed" and "id" in told:
        return answer(asked("survived", told["id"]))
    return told


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the last line of JSON that a process prints."""
    try:
        out, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return {"why": f"more than {LIMIT_S} s"}
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        return {"why": (errors.strip().splitlines() or ["it said nothing"])[-1][:160]}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


# ---------------------------------------------------------------- servers and environments


@contextmanager
def served(
    server: str | None, python: str, folder: Path, environ: dict[str, str]
) -> Iterator[int | None]:
    """Start the server a contender needs, and end it with all its children."""
    if server is None:
        yield None
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ["MLFLOW_TRACKING_URI"] = environ["MAINSPRING_URL"] = url
    if server == "ours":
        command = [sys.executable, "-m", "mainspring", "up", "--port", str(port)]
        command += ["--home", str(folder / "served")]
    else:
        environ.pop("MAINSPRING_URL")
        command = [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
        command += ["--artifacts-destination", str(folder / "files")]
    log = (folder / "server.log").open("wb")
    apart = {
        k: v for k, v in environ.items() if k not in ("MAINSPRING_URL", "MLFLOW_TRACKING_URI")
    }
    process = subprocess.Popen(command, env=apart, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield process.pid
    finally:
        family = [psutil.Process(process.pid), *children_of(process.pid)]
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        for one in family:
            if one.is_running():
                one.kill()
        log.close()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers on its port."""
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(1.0)
                return
        time.sleep(0.1)
    raise SystemExit("a server did not start; its log is in its folder")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children_of(pid: int) -> list[psutil.Process]:
    """Return every process below one."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def cpu_of(pid: int | None) -> float:
    """Return the CPU seconds a process and all below it have taken."""
    if pid is None:
        return 0.0
    total = 0.0
    for one in [psutil.Process(pid), *children_of(pid)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def interpreter(name: str | None, envs: Path) -> str:
    """Return the Python of an environment, made on first use."""
    if name is None:
        return sys.executable
    python = envs / name / "bin" / "python"
    if not (envs / name / "ready").exists():
        print(f"  ... making an environment for {name}", file=sys.stderr, flush=True)
        shutil.rmtree(envs / name, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(envs / name)], check=True)
        wanted = ENVIRONMENTS[name]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
        (envs / name / "ready").touch()
    return str(python)


# ---------------------------------------------------------------- what is shown


def show(
    names: list[str], found: dict[str, dict[str, dict[str, Any]]], versions: dict[str, str]
) -> None:
    """Print every figure, and how many times better or worse than ours it is."""
    print(
        f"tracking, Python {platform.python_version()}; in brackets: ours is so many times better"
    )
    for task, of_all in found.items():
        for figure, (title, more) in TASKS[task][1].items():
            print(f"\n  {title}")
            ours = of_all.get("ours", {}).get(figure)
            for name in names:
                value = of_all[name].get(figure)
                label = f"{name} {versions[name]}"
                if value is None:
                    print(f"    {label:<28}{'-':>12}  {of_all[name].get('why', 'it cannot')}")
                    continue
                ratio = ""
                if ours and value and name != "ours":
                    ratio = f"  ({ours / value if more else value / ours:.3g} x)"
                print(f"    {label:<28}{value:>12,.1f}{ratio}")


def show_sizes(names: list[str], envs: Path) -> None:
    """Print how many distributions each tracker brings, and how large they are."""
    print("\n  installed: distributions and MB, byte code as it is")
    for name in dict.fromkeys(CONTENDERS[one][0] for one in names):
        if name is None:
            continue
        place = next((envs / name / "lib").glob("python*/site-packages"))
        count = len(list(place.glob("*.dist-info")))
        size = sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) / 1e6
        print(f"    {name:<28}{count:>6}{size:>8,.0f} MB")
    print("    (ours: bench/startup.py, which installs it from nothing)")


if __name__ == "__main__":
    sys.exit(main())
