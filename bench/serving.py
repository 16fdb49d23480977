"""Serving, ours beside its peers in one run: requests a second, latency, CPU, memory, cold start.

Peers live in environments of their own below ``--envs`` (default ``.venv-bench-serving``), made on
first use. Ours is the endpoint's process as it is: authentication, checks, routing, prediction
ids, capture and metrics on. The client is a process of its own on the same machine: read the
**server's CPU** of a request, which other load moves least, and ratios within one run.
``--quick`` asks one cell a model; ``--only NAME,NAME`` leaves servers out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from mainspring.ground.version import __version__

HERE = Path(__file__).parent / "servers"
ENVIRONMENTS = {
    "fastapi": ["fastapi", "uvicorn[standard]", "scikit-learn"],
    "litserve": ["litserve", "scikit-learn"],
    "bentoml": ["bentoml", "scikit-learn"],
    "mlserver": ["mlserver", "mlserver-sklearn"],
    "mlflow": ["mlflow==3.17.2"],
    "ray": ["ray[serve]", "scikit-learn"],
}
#: name -> (path asked, the package whose version is told)
SERVERS = {
    "echo": ("/predict", "uvicorn"),
    "mainspring": ("/invocations", "mainspring"),
    "fastapi": ("/predict", "fastapi"),
    "litserve": ("/predict", "litserve"),
    "bentoml": ("/predict", "bentoml"),
    "mlserver": ("/v2/models/bench/infer", "mlserver"),
    "mlflow": ("/invocations", "mlflow"),
    "ray": ("/predict", "ray"),
}
MODELS = ("logistic", "forest", "boosting")
COLUMNS = [f"x{place}" for place in range(12)]
START_S = 180.0
WARM_S = 1.0


def body_of(server: str, rows: int) -> bytes:
    """Return a request of so many rows in the form a server takes."""
    chance = random.Random(rows)
    data = [[round(chance.gauss(0, 1), 6) for _ in COLUMNS] for _ in range(rows)]
    if server in ("mainspring", "mlflow"):
        return json.dumps({"dataframe_split": {"columns": COLUMNS, "data": data}}).encode()
    if server == "mlserver":
        flat = [value for row in data for value in row]
        tensor = {"name": "x", "shape": [rows, len(COLUMNS)], "datatype": "FP64", "data": flat}
        return json.dumps({"inputs": [tensor]}).encode()
    if server == "bentoml":
        return json.dumps({"data": data}).encode()
    return json.dumps({"columns": COLUMNS, "data": data}).encode()


def python_of(server: str, envs: Path) -> str:
    """Return the interpreter a server runs on; its environment is made where it is not there."""
    if server not in ENVIRONMENTS:
        return sys.executable
    folder = envs / server
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        print(f"  making an environment for {server} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *ENVIRONMENTS[server]], check=True)
        (folder / "ready").touch()
    return str(python)


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def told_version(python: str, package: str) -> str:
    """Return which version of a package an environment has."""
    if package == "mainspring":
        return __version__
    code = f"from importlib.metadata import version; print(version({package!r}))"
    asked = [python, "-c", code]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def running(
    server: str, model: str, python: str, folder: Path
) -> Iterator[tuple[str, psutil.Process, float]]:
    """Run a server; give its URL, its process, and the seconds until its first right answer."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    # MLflow starts its server by name, from its own environment.
    env["PATH"] = f"{Path(python).parent}{os.pathsep}{env['PATH']}"
    env |= {"BENTOML_DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    prepare(server, model, python, folder, env)
    place = folder / f"home-{model}/run/endpoints/bench.json"
    port = free_port()
    words = [python, str(HERE / f"of_{server}.py"), model, str(port), str(folder)]
    with (folder / "output.txt").open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            words,
            env=env,
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    body = body_of(server, 1)
    try:
        while True:
            if process.poll() is not None or time.perf_counter() - start > START_S:
                raise RuntimeError((folder / "output.txt").read_text()[-600:])
            if server == "mainspring" and place.exists():  # it takes a free port by itself
                port = json.loads(place.read_text())["port"]
            url = f"http://127.0.0.1:{port}{SERVERS[server][0]}"
            if asked_once(url, body):
                break
            time.sleep(0.02)
        yield url, psutil.Process(process.pid), time.perf_counter() - start
    finally:
        end(process)


def prepare(server: str, model: str, python: str, folder: Path, env: dict[str, str]) -> None:
    """Make what a server serves, so that its start does not pay for it."""
    if server == "echo":
        return
    words = [str(HERE / "models.py"), model, str(folder)]
    if server in ("mainspring", "mlflow"):
        words = [str(HERE / f"of_{server}.py"), model, "0", str(folder)]
    done = subprocess.run(
        [python, *words], env=env, capture_output=True, text=True, cwd=HERE, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-600:])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started."""
    pids = [process.pid]
    with suppress(psutil.Error):
        pids += [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.5)
    process.wait(30)


def asked_once(url: str, body: bytes) -> bool:
    """Return whether a server gives a right answer."""
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that it started."""
    return [process, *process.children(recursive=True)]


def cpu_s(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used."""
    total = 0.0
    for one in processes:
        with suppress(psutil.Error):
            used = one.cpu_times()
            total += used.user + used.system
    return total


def rss_mb(processes: list[psutil.Process]) -> float:
    """Return the memory of processes, what they share counted once, in MB."""
    total = 0
    for one in processes:
        with suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total / 2**20


def asked(url: str, body: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Ask from a process of its own, and return what it saw."""
    words = [sys.executable, str(HERE / "load.py"), url, str(body), str(connections)]
    done = subprocess.run([*words, str(seconds)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(
    server: str, model: str, python: str, cells: list[tuple[int, int]], seconds: float
) -> list[dict[str, Any]]:
    """Return a line for each (connections, rows) of one server with one model."""
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(server, model, python, Path(folder)) as (url, process, cold_s),
    ):
        for connections, rows in cells:
            body = Path(folder) / "body.json"
            body.write_bytes(body_of(server, rows))
            asked(url, body, connections, WARM_S)
            processes = family(process)
            before = cpu_s(processes)
            found = asked(url, body, connections, seconds)
            spent = cpu_s(processes) - before
            lines.append(
                {
                    "server": server,
                    "model": model,
                    "connections": connections,
                    "rows": rows,
                    "cpu_us": spent / max(found["answers"], 1) * 1e6,
                    "cold_s": cold_s,
                    "rss_mb": rss_mb(family(process)),
                    **found,
                }
            )
    return lines


def told(lines: list[dict[str, Any]], model: str, cells: list[tuple[int, int]]) -> None:
    """Print one table a cell: figures, and ratios to ours."""
    for connections, rows in cells:
        here = [
            one
            for one in lines
            if (one["model"], one["connections"], one["rows"]) == (model, connections, rows)
        ]
        ours = next((one for one in here if one["server"] == "mainspring"), None)
        print(f"\n{model}, {connections} connections, {rows} rows")
        print(
            f"  {'server':<12}{'answers/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>10}"
            f"{'x ours':>8}{'RSS MB':>8}{'cold s':>8}{'failed':>8}"
        )
        for one in here:
            times = one["cpu_us"] / ours["cpu_us"] if ours else float("nan")
            p50, p99 = one["p50_ms"] or 0.0, one["p99_ms"] or 0.0
            print(
                f"  {one['server']:<12}{one['per_s']:>11.0f}{p50:>9.2f}{p99:>9.2f}"
                f"{one['cpu_us']:>10.0f}{times:>8.1f}{one['rss_mb']:>8.0f}{one['cold_s']:>8.2f}"
                f"{one['failed']:>8}"
            )


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=Path(".venv-bench-serving"))
    parser.add_argument("--only", default=",".join(SERVERS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--cells", default="1x1,8x1,64x1,1x100,8x100,64x100", help="connections x rows"
    )
    parser.add_argument("--quick", action="store_true", help="8 connections, 1 row, ours and echo")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    wanted = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        print("serving: memory and CPU of processes are read from /proc, which is not here")
        return 0
    servers = ["echo", "mainspring"] if wanted.quick else wanted.only.split(",")
    models = ["boosting"] if wanted.quick else wanted.models.split(",")
    asked_for = "8x1" if wanted.quick else wanted.cells
    cells = [(int(c), int(r)) for c, _, r in (one.partition("x") for one in asked_for.split(","))]
    print(f"serving: Python {platform.python_version()}")
    lines: list[dict[str, Any]] = []
    trouble = 0
    pythons = {name: python_of(name, wanted.envs.resolve()) for name in servers}
    for name in servers:
        print(f"  {name}: {SERVERS[name][1]} {told_version(pythons[name], SERVERS[name][1])}")
    for model in models:
        for name in servers:
            try:
                lines += measure(name, model, pythons[name], cells, wanted.seconds)
            except (RuntimeError, subprocess.SubprocessError) as error:
                trouble += name == "mainspring"
                print(f"  {name} could not be measured with {model}: {str(error)[-400:]}")
        told(lines, model, cells)
    if wanted.json:
        wanted.json.write_text(json.dumps(lines, indent=1))
    ours = [one for one in lines if one["server"] == "mainspring"]
    return 1 if trouble or any(one["failed"] for one in ours) else 0


if __name__ == "__main__":
    sys.exit(main())
