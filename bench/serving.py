"""How much server CPU an answer costs: our endpoint beside a bare echo on the same server.

Both run in a process of their own on uvicorn with the same settings; the endpoint validates,
routes, scores (ONNX), gives prediction ids, captures and counts. Who asks is not looked up in a
token table here. Other servers are not installed with Mainspring and are not measured here.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

CONNECTIONS, SECONDS, WARM_S = 8, 4.0, 0.5
COLUMNS = ["a", "b", "c", "d", "e"]


# ---------------------------------------------------------------- the two servers


def serve_one(what: str, folder: Path) -> None:
    """Serve the echo or the endpoint until the standard input closes; say the port first."""
    from mainspring.scaling.serving.server import serve

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    app = echo if what == "echo" else endpoint(folder)
    serve(app, "127.0.0.1", 0, lambda port: print(port, flush=True), stop)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read a body and send it back."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


def endpoint(folder: Path) -> Any:
    """Return the endpoint's app on a small model that is trained here."""
    import numpy as np
    import polars as pl
    from sklearn.ensemble import HistGradientBoostingClassifier

    from mainspring.backends.objects.local import LocalObjects
    from mainspring.ground.objects import Routing
    from mainspring.ground.permissions import owner
    from mainspring.ground.settings import Settings
    from mainspring.scaling.models import load, package
    from mainspring.scaling.models.model import Model
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.capture import CaptureWriter

    chance = np.random.default_rng(0)
    rows = pl.DataFrame({name: chance.normal(size=3000) for name in COLUMNS})
    rows = rows.with_columns((pl.col("a") + pl.col("b") > 0).cast(pl.Int64).alias("y"))
    estimator = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    objects = LocalObjects(folder / "objects")
    digest = package.write(Model(estimator, "y").fit(rows), objects)
    routing = Routing(endpoint="bench", model="bench", champion=1, champion_package=digest)
    return EndpointApp(
        "bench",
        lambda: routing,
        lambda wanted: load.load(wanted, objects),
        CaptureWriter(folder / "captures"),
        lambda _: owner(),
        Settings(root=str(folder), home=str(folder)),
        changed=lambda: 0,
    )


# ---------------------------------------------------------------- the load


def body_of(rows: int) -> bytes:
    """Return a request of so many rows."""
    data = [[0.1 * place + row / 1000 for place in range(len(COLUMNS))] for row in range(rows)]
    return json.dumps({"dataframe_split": {"columns": COLUMNS, "data": data}}).encode()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, pid: int, body: bytes, connections: int) -> tuple[int, float, float, int]:
    """Ask for a few seconds; return answers, seconds, CPU seconds of the server, failures."""
    counts, failed = [0] * connections, [0] * connections
    end = [time.perf_counter() + WARM_S]

    def ask(place: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < end[0]:
            link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            reply = link.getresponse()
            reply.read()
            counts[place] += 1
            failed[place] += reply.status != 200
        link.close()

    def storm() -> None:
        threads = [threading.Thread(target=ask, args=(place,)) for place in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    storm()
    counts[:] = [0] * connections
    before, start = cpu_s(pid), time.perf_counter()
    end[0] = start + SECONDS
    storm()
    return sum(counts), time.perf_counter() - start, cpu_s(pid) - before, sum(failed)


def main() -> int:
    """Print the CPU of the server for each answer."""
    if len(sys.argv) > 2:
        serve_one(sys.argv[1], Path(sys.argv[2]))
        return 0
    if not Path("/proc/self/stat").exists():
        print("serving: the CPU of a process is read from /proc, which this system has not")
        return 0
    from importlib.metadata import version

    print(
        f"serving: uvicorn {version('uvicorn')}, onnxruntime {version('onnxruntime')},"
        f" Python {platform.python_version()}"
    )
    failures = 0
    least: dict[int, float] = {}
    for what in ("echo", "endpoint"):
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen(
                [sys.executable, __file__, what, folder],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            try:
                assert server.stdout is not None
                port = int(server.stdout.readline())
                for rows, connections in ((1, CONNECTIONS), (500, 1)):
                    done, took, spent, failed = load(port, server.pid, body_of(rows), connections)
                    failures += failed
                    each = spent / max(done, 1) * 1e6
                    least.setdefault(rows, each)
                    budget = "  budget 100" if (what, rows) == ("endpoint", 1) else ""
                    print(
                        f"  {what:<9}{rows:>4} rows, {connections} connections: {each:8.1f} us CPU"
                        f" an answer, {each / least[rows]:5.1f} x the echo, {done / took:7.0f}/s,"
                        f" {failed} failed{budget}"
                    )
            finally:
                server.communicate(timeout=30)
    print("  (the client is Python too and bounds the rate; the CPU is the server's own)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
