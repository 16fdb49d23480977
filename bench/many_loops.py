"""What an engine costs that looks after many loops: at rest, and beside one that is busy.

    python bench/many_loops.py [LOOPS] [SECONDS]

Every loop watches an endpoint of its own that is fed, has a champion and some captured days. At
rest nothing happens; the figure is the CPU time of a whole engine process as a share of a core
(budget: below 5 % for a thousand). Then one loop is kept busy without end, with fed rows, labels
and window after window, while another is fed one window's rows now and then: the figure is how
long its verdict takes, beside the same without the busy one.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from sklearn.linear_model import LogisticRegression

from mainspring.engine import reactor
from mainspring.ground.objects import LoopSpec, MonitorPolicy, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load as settings
from mainspring.ground.version import __version__
from mainspring.monitoring import windows
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.models.load import load
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace.opening import Workspace, open_workspace

DAY = 86_400.0
START = 19_000 * DAY
ROWS = 300  # of one window


def main() -> int:
    """Measure and print."""
    loops = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    print(f"many loops: mainspring {__version__}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "mainspring.toml").write_text("")
        ws = open_workspace(settings(start=root, environ={}))
        began = time.monotonic()
        house = House(ws, loops)
        print(f"  {loops} loops made in {time.monotonic() - began:.0f} s")
        command = [sys.executable, "-m", "mainspring.cli.processes", "engine"]
        command += ["--home", ws.settings.home]
        with subprocess.Popen(command, cwd=root) as engine:
            try:
                measure(house, psutil.Process(engine.pid), seconds)
            finally:
                engine.terminate()
    return 0


def measure(house: House, engine: psutil.Process, seconds: float) -> None:
    """Print what the engine costs and how long verdicts take."""
    time.sleep(45)  # the first look at everything, and until looks are as rare as they become
    before, began = cpu(engine), time.monotonic()
    time.sleep(seconds)
    share = (cpu(engine) - before) / (time.monotonic() - began)
    print(f"  at rest: {share:.2%} of a core over {seconds:.0f} s (budget 5 %)")
    print(f"  memory of the engine: {engine.memory_info().rss / 1e6:.0f} MB")
    alone = [house.verdict("loop-1") for _ in range(10)]
    print(f"  a verdict, nothing else to do: {told(alone)}")
    stop = threading.Event()
    busy = threading.Thread(target=house.keep_busy, args=("loop-0", stop))
    busy.start()
    before, began = cpu(engine), time.monotonic()
    beside = [house.verdict("loop-2") for _ in range(10)]
    share = (cpu(engine) - before) / (time.monotonic() - began)
    stop.set()
    busy.join()
    print(f"  a verdict beside a busy loop:  {told(beside)}; engine {share:.0%} of a core")


def told(found: list[float]) -> str:
    """Return times in words."""
    return f"median {statistics.median(found):.2f} s, worst {max(found):.2f} s"


def cpu(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and of the children it waited for."""
    used = process.cpu_times()
    return used.user + used.system + used.children_user + used.children_system


class House:
    """A home with many loops, fed by hand."""

    def __init__(self, ws: Workspace, loops: int) -> None:
        self.ws = ws
        rng = np.random.default_rng(0)
        train = pl.DataFrame({"x": rng.normal(size=500), "y": rng.integers(0, 2, 500)})
        fitted = Model(LogisticRegression(), target="y").fit(train)
        digest = package.write(fitted, ws.objects)
        self.model = load(digest, ws.objects)
        self.at = {f"loop-{n}": START for n in range(loops)}
        self.writers: dict[str, CaptureWriter] = {}
        for first in range(0, loops, 100):
            names = list(self.at)[first : first + 100]

            def furnish(tx: Any, names: list[str] = names) -> None:
                for name in names:
                    version = Version(
                        model=name, number=0, run=None, package=digest,
                        signature=fitted.signature, card=None, metrics={}, created=START, by="b",
                    )  # fmt: skip
                    registry.register(tx, version)
                    gate.store_result(tx, gate.result(name, 1, [], time.time(), "engine"))
                    registry.promote(tx, name, 1, reason="The first.", at=START)
                    endpoints.ensure(tx, name, name, at=START, loop=name, kind="fed")
                    spec = LoopSpec(
                        name=name, model=name, pipeline="p:train", endpoint=name, target="y",
                        kind="binary", monitor=MonitorPolicy(window_s=DAY, min_rows=100), fed=True,
                    )  # fmt: skip
                    reactor.declare(tx, spec, at=START, champion=1)

            ws.write(Permission.ADMIN, furnish)
        for name in self.at:
            self.day(name)
            if name not in ("loop-0", "loop-1", "loop-2"):
                self.writers.pop(name).close(60.0)

    def day(self, name: str) -> None:
        """Feed one window's rows."""
        rng = np.random.default_rng(int(self.at[name] // DAY))
        times = self.at[name] + np.sort(rng.uniform(0, DAY, ROWS))
        self.at[name] += DAY
        prepared = self.model.check({"x": rng.normal(size=ROWS)})
        if name not in self.writers:
            self.writers[name] = CaptureWriter(self.ws.captures(name))
        writer = self.writers[name]
        writer.append(
            Batch(
                first=writer.reserve(ROWS),
                received=times[-1],
                times=times,
                columns=prepared.columns,
                types=prepared.types,
                versions=np.ones(ROWS, dtype=np.int64),
                scores=self.model.score(prepared),
            )
        )
        writer.flush(60.0)

    def judged(self, name: str) -> float:
        """Return until when an endpoint's windows are judged."""
        found = self.ws.read(Permission.READ, lambda tx: windows.monitor(tx, name))
        return found.judged_until or 0.0

    def verdict(self, name: str) -> float:
        """Return how long after the row that closes a window its verdict is there."""
        time.sleep(0.5)
        wanted = self.at[name]
        self.day(name)
        began = time.monotonic()
        while self.judged(name) < wanted:
            if time.monotonic() - began > 120:
                raise TimeoutError(f"The window of {name} was not judged within two minutes.")
            time.sleep(0.01)
        return time.monotonic() - began

    def keep_busy(self, name: str, stop: threading.Event) -> None:
        """Feed window after window, as fast as they are judged and a little faster."""
        while not stop.is_set():
            self.day(name)
            time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(main())
