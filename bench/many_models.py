"""What hundreds of models in one process cost: memory, requests, cold requests, evictions.

    python bench/many_models.py [MODELS] [CAP] [SECONDS]

A home with MODELS endpoints that share one host, each with a package of its own: logistic
regressions and boosted trees in turn, told apart by a word in their ONNX file. Measured are the
host's start; the memory of each model; the first request of every model, nothing being in memory
(p50 and p99, and what others waited meanwhile); then requests over all models in turn by eight
connections for SECONDS, and the same with room for CAP models only, most requests going to few
(by Zipf's law). The host's CPU time a request is from /proc; walls on a busy machine are noisy.
"""

from __future__ import annotations

import http.client
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import onnx
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from mainspring.ground.identity import canonical
from mainspring.ground.objects import EndpointOptions, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load as settings
from mainspring.ground.version import __version__
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace, open_workspace

COLUMNS = 20
CONNECTIONS = 8
TICK = os.sysconf("SC_CLK_TCK")
ROW = {f"x{n}": 0.1 * n for n in range(COLUMNS)}
BODY = msgspec.json.encode({"instances": [ROW]})
JSON = {"content-type": "application/json"}


def main() -> int:
    """Measure and print."""
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    cap = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 8.0
    print(f"many models: mainspring {__version__}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "mainspring.toml").write_text("")
        ws = open_workspace(settings(start=root, environ={}))
        began = time.monotonic()
        names = furnish(ws, models)
        print(f"  {models} endpoints made in {time.monotonic() - began:.0f} s")
        with Host(ws, names, models=models) as host:
            cold(host, names)
            steady(host, "one model asked", names, seconds / 2, lambda _: 0)
            steady(host, "all in memory", names, seconds, lambda chance: chance.integers(models))
        with Host(ws, names, models=cap) as host:
            ranks = 1.0 / np.arange(1, models + 1)
            shares = np.cumsum(ranks / ranks.sum())
            steady(
                *(host, f"room for {cap}, by Zipf's law", names, seconds),
                lambda chance: int(np.searchsorted(shares, chance.random())),
            )
        ws.close()
    return 0


def furnish(ws: Workspace, models: int) -> list[str]:
    """Make as many endpoints, each with a model of its own."""
    chance = np.random.default_rng(0)
    x = chance.normal(size=(2000, COLUMNS))
    y = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int)
    rows = pl.DataFrame({f"x{n}": x[:, n] for n in range(COLUMNS)}).with_columns(y=pl.Series(y))
    made = [
        package.write(Model(estimator, "y", "binary").fit(rows[:1500], rows[1500:]), ws.objects)
        for estimator in (LogisticRegression(), HistGradientBoostingClassifier(max_iter=100))
    ]
    names = [f"m{n:03}" for n in range(models)]
    own = ws.acting_as(service("bench"))
    for number, name in enumerate(names):
        digest = altered(ws, made[number % 2], name)
        own.write(Permission.WORK, lambda tx, n=name, d=digest: served(tx, ws, n, d))
    return names


def altered(ws: Workspace, digest: str, word: str) -> str:
    """Return a package like another, with an ONNX file of its own."""
    manifest = package.read_manifest(digest, ws.objects)
    model = onnx.load_model_from_string(package.read_file(manifest, "model.onnx", ws.objects))
    model.doc_string = word
    data = ws.objects.put(model.SerializeToString())
    files = {**manifest.files, "model.onnx": data}
    return ws.objects.put(canonical(package.Manifest(format=manifest.format, files=files)))


def served(tx: Any, ws: Workspace, name: str, digest: str) -> None:
    """Register, promote and serve a package."""
    now = ws.clock.now()
    version = Version(
        model=name,
        number=0,
        run=None,
        package=digest,
        signature=package.signature(digest, ws.objects),
        card=None,
        metrics={},
        created=now,
        by="bench",
    )
    registry.register(tx, version)
    gate.store_result(tx, gate.result(name, 1, [], now, "engine"))
    registry.promote(tx, name, 1, reason="Bench.", at=now)
    endpoints.ensure(tx, name, name, at=now)
    endpoints.configure(tx, name, EndpointOptions(place="shared"))


class Host:
    """A host of the home, with room for so many models."""

    def __init__(self, ws: Workspace, names: list[str], *, models: int) -> None:
        self._files = [ws.home / "run" / "endpoints" / f"{name}.json" for name in names]
        environ = {**os.environ, "MAINSPRING_HOST_MODELS": str(models)}
        environ |= {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "POLARS_MAX_THREADS": "1"}
        command = [
            sys.executable,
            "-m",
            "mainspring.cli.processes",
            "host",
            "--home",
            str(ws.home),
        ]
        began = time.monotonic()
        self._process = subprocess.Popen(command, env=environ)
        while not all(file.exists() for file in self._files):
            time.sleep(0.01)
        self.port = int(msgspec.json.decode(self._files[0].read_bytes())["port"])
        print(f"  host: up in {time.monotonic() - began:.2f} s, {self.rss_mb():.0f} MB")

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def rss_mb(self) -> float:
        """Return its memory."""
        words = Path(f"/proc/{self._process.pid}/statm").read_text().split()
        return int(words[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self) -> float:
        """Return its CPU time."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICK

    def threads(self) -> int:
        """Return how many threads it has."""
        return len(list(Path(f"/proc/{self._process.pid}/task").iterdir()))

    def account(self) -> dict[str, Any]:
        """Return what it says of itself."""
        url = f"http://127.0.0.1:{self.port}/status"
        found: dict[str, Any] = httpx.get(url, trust_env=False).json()
        return found


def cold(host: Host, names: list[str]) -> None:
    """Ask every model for the first time, one after the other."""
    line = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
    before, cpu, took = host.rss_mb(), host.cpu_s(), []
    for name in names:
        start = time.perf_counter()
        asked(line, name)
        took.append(1000 * (time.perf_counter() - start))
    used = 1000 * (host.cpu_s() - cpu) / len(names)
    p50, p99 = np.quantile(took, [0.5, 0.99])
    print(f"  first request of a model: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {used:.1f} ms CPU")
    grown = host.rss_mb() - before
    account = host.account()
    print(
        f"  all in memory: {host.rss_mb():.0f} MB, {grown / len(names):.2f} MB a model"
        f" (it counts {account['bytes'] / 2**20:.0f} MB), {host.threads()} threads"
    )


def asked(line: http.client.HTTPConnection, name: str) -> None:
    """Ask a model about one row."""
    line.request("POST", f"/e/{name}/invocations", BODY, JSON)
    answer = line.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{name}: {answer.status} {text[:300]!r}")


def steady(
    host: Host,
    what: str,
    names: list[str],
    seconds: float,
    draw: Callable[[np.random.Generator], int],
) -> None:
    """Ask over several connections for a while; print requests, CPU and latency."""
    took: list[float] = []
    until = time.monotonic() + seconds

    def ask(seed: int) -> None:
        chance = np.random.default_rng(seed)
        line = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
        mine = []
        while time.monotonic() < until:
            name = names[draw(chance)]
            start = time.perf_counter()
            asked(line, name)
            mine.append(1000 * (time.perf_counter() - start))
        took.extend(mine)

    before, cpu, began = host.account(), host.cpu_s(), time.monotonic()
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used, wall, after = host.cpu_s() - cpu, time.monotonic() - began, host.account()
    p50, p99 = np.quantile(took, [0.5, 0.99])
    print(
        f"  {what}: {len(took) / wall:.0f} requests/s, {1e6 * used / len(took):.0f} us CPU each,"
        f" p50 {p50:.1f} ms, p99 {p99:.1f} ms, {after['loads'] - before['loads']} loads,"
        f" {after['evictions'] - before['evictions']} let go of, {after['models']} in memory,"
        f" {host.rss_mb():.0f} MB, {host.threads()} threads"
    )


if __name__ == "__main__":
    sys.exit(main())
