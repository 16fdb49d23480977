"""What recording answers costs: CPU a record, bytes a record, and what a caller feels of it.

* **the writer alone**: requests of one row and of a hundred, as an endpoint appends them; CPU of
  the process (encoding, checksums and writing in the writer's thread included), bytes of a segment
  and of the Parquet file it is folded into.
* **an endpoint**: one process serves a logistic regression; stretches in which every row is
  recorded and stretches in which none is (``capture_share`` 1 and 0) take turns, so that whatever
  else the machine does falls on both. Read the server's CPU; latencies are noisy.

``--folder`` puts the captures elsewhere, such as on a small tmpfs, to see a full disk.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mainspring.scaling.serving import capture
from mainspring.scaling.serving.segments import Batch

TURNS = 6
NARROW = "4 columns (number, whole number, word, truth)"
WIDE = "12 numbers of 64 bits"


def narrow(rng: np.random.Generator, first: int, rows: int) -> Batch:
    """Return rows as of the flights that tests know."""
    columns: dict[str, Any] = {
        "distance": rng.uniform(50, 3000, rows).round(1),
        "hour": rng.integers(0, 24, rows),
        "carrier": rng.choice(["AA", "B6", "UA"], rows).tolist(),
        "weekend": rng.random(rows) > 0.7,
    }
    types = {"distance": "float", "hour": "int", "carrier": "str", "weekend": "bool"}
    return _batch(rng, first, rows, columns, types)


def wide(rng: np.random.Generator, first: int, rows: int) -> Batch:
    """Return rows in which nothing repeats and no number is short."""
    columns = {f"x{place}": rng.normal(size=rows) for place in range(12)}
    return _batch(rng, first, rows, columns, dict.fromkeys(columns, "float"))


def _batch(
    rng: np.random.Generator, first: int, rows: int, columns: Any, types: dict[str, Any]
) -> Batch:
    now = time.time()
    return Batch(
        first=first,
        received=now,
        times=np.full(rows, now),
        columns=columns,
        types=types,
        versions=np.full(rows, 3),
        scores=rng.random((rows, 1)),
        champion=3,
        seconds=0.001,
    )


def alone(make: Callable[..., Batch], rows: int, requests: int, folder: Path) -> dict[str, float]:
    """Return what a record costs where nothing else is done."""
    rng = np.random.default_rng(0)
    batches = [make(rng, rows * turn, rows) for turn in range(requests)]
    writer = capture.CaptureWriter(folder, seal_rows=10**9, seal_s=3600.0)
    before = time.process_time()
    for place, batch in enumerate(batches):
        writer.append(batch)
        if place % 50 == 49:
            time.sleep(0.01)  # 5,000 requests a second, so that as many share a frame as would
    writer.flush(60)
    spent = time.process_time() - before
    written = writer.written_rows
    writer.close()
    segment = sum(path.stat().st_size for path in folder.glob("*.seg"))
    before = time.process_time()
    capture.compact(folder)
    folded = time.process_time() - before
    parquet = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    return {
        "cpu_us": spent / written * 1e6,
        "fold_us": folded / written * 1e6,
        "segment_bytes": segment / written,
        "parquet_bytes": parquet / written,
        "dropped": writer.dropped_rows,
    }


# ---------------------------------------------------------------- an endpoint


def serve(folder: Path) -> None:
    """Serve until the input ends; each line of it is the share to be recorded from now on."""
    import polars as pl
    from sklearn.linear_model import LogisticRegression

    from mainspring.backends.objects import open_objects
    from mainspring.ground.objects import Routing
    from mainspring.ground.permissions import owner
    from mainspring.ground.serving import EndpointOptions
    from mainspring.ground.settings import Settings
    from mainspring.scaling.models import load, package
    from mainspring.scaling.models.model import Model
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.server import serve as run

    rng = np.random.default_rng(0)
    rows = pl.DataFrame({f"x{place}": rng.normal(size=2000) for place in range(12)})
    rows = rows.with_columns(y=(rows["x0"] + rows["x1"] > 0).cast(int))
    objects = open_objects(str(folder / "objects"))
    digest = package.write(Model(LogisticRegression(), target="y").fit(rows), objects)
    state = {"share": 1.0, "serial": 0}

    def routing() -> Routing:
        options = EndpointOptions(capture_share=state["share"])
        return Routing(
            endpoint="bench", model="bench", champion=1, champion_package=digest, options=options
        )

    writer = capture.CaptureWriter(folder / "captures")
    app = EndpointApp(
        "bench",
        routing,
        lambda package: load.load(package, objects),
        writer,
        lambda scope: owner(),
        Settings(root=str(folder), home=str(folder)),
        changed=lambda: int(state["serial"]),
    )
    stop = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            state["share"], state["serial"] = float(line), state["serial"] + 1
            while app.generations.current.routing.options.capture_share != state["share"]:
                time.sleep(0.01)
            print(json.dumps([time.process_time(), writer.written_rows]), flush=True)
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    run(app, "127.0.0.1", 0, lambda port: print(port, flush=True), stop)


def endpoint(seconds: float, connections: int, rows: int) -> None:
    """Print what a request costs with and without being recorded."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            [sys.executable, __file__, "--serve", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None

        def share(value: float) -> tuple[float, int]:
            child.stdin.write(f"{value}\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            cpu, written = json.loads(child.stdout.readline())  # type: ignore[union-attr]
            return cpu, written

        try:
            port = int(child.stdout.readline())
            body = json.dumps({"instances": np.zeros((rows, 12)).tolist()}).encode()
            ask(port, body, connections, 1.0)
            found: dict[float, list[tuple[float, list[float]]]] = {1.0: [], 0.0: []}
            for turn in range(TURNS):
                for value in (1.0, 0.0) if turn % 2 else (0.0, 1.0):
                    before, _ = share(value)
                    took = ask(port, body, connections, seconds / TURNS / 2)
                    after, _ = share(value)
                    found[value].append(((after - before) / len(took) * 1e6, took))
        finally:
            child.stdin.close()
            child.wait(30)
    print(f"\nan endpoint, {connections} connections, {rows} rows a request")
    cpu = {}
    for value, name in ((0.0, "not recorded"), (1.0, "recorded")):
        took = np.concatenate([one[1] for one in found[value]]) * 1000
        cpu[value] = float(np.median([one[0] for one in found[value]]))
        p50, p99 = np.quantile(took, [0.5, 0.99])
        print(f"  {name:<14}{cpu[value]:>9.1f} us CPU{p50:>9.2f} ms p50{p99:>9.2f} ms p99"
              f"{len(took):>9} requests")  # fmt: skip
    print(f"  a record costs {(cpu[1.0] - cpu[0.0]) / rows:.1f} us CPU, budget 10")


def ask(port: int, body: bytes, connections: int, seconds: float) -> list[float]:
    """Ask for some seconds; return how long each answer took."""
    took: list[list[float]] = [[] for _ in range(connections)]
    end = time.perf_counter() + seconds

    def one(place: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < end:
            start = time.perf_counter()
            link.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            reply = link.getresponse()
            reply.read()
            assert reply.status == 200
            took[place].append(time.perf_counter() - start)
        link.close()

    threads = [threading.Thread(target=one, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for several in took for one in several]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where captures go; default: a temporary one")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load on the endpoint")
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
        return
    print("the writer alone, per record")
    for name, make in ((NARROW, narrow), (WIDE, wide)):
        for rows, requests in ((1, 10_000), (100, 1_000)):
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                found = alone(make, rows, requests, Path(folder) / "captures")
            print(
                f"  {name:<46}{rows:>4} rows{found['cpu_us']:>7.1f} us CPU"
                f"{found['fold_us']:>6.1f} us to fold{found['segment_bytes']:>7.0f} B segment"
                f"{found['parquet_bytes']:>6.0f} B Parquet{found['dropped']:>7.0f} dropped"
            )
    endpoint(given.seconds, 1, 1)
    endpoint(given.seconds, 1, 100)


if __name__ == "__main__":
    main()
