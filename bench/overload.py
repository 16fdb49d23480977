"""What an endpoint does under ten times the load it can take: open-loop, clients that give up.

The model takes 20 ms a row and cannot be batched, so that the capacity is known: scoring threads
divided by 20 ms. 256 clients ask at a fixed rate, whatever becomes of their requests, and leave
after 2 s. Told are: answers in time a second (goodput), latencies of the admitted, how fast the
others were refused, and how long a lone request takes right after the storm.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROW_S = 0.02
CLIENTS, PATIENCE_S = 256, 2.0
SATURATED_S, STORM_S, AFTER_S = 3.0, 5.0, 2.0
BODY = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}).encode()
REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


# ---------------------------------------------------------------- the server


class Slow:
    """A model that takes :data:`ROW_S` for each row, without using the CPU."""

    def __init__(self) -> None:
        from mainspring.ground.contracts import Contract
        from mainspring.ground.objects import Column, Signature
        from mainspring.numerics.rowwise import RowChecks

        columns = [Column(name="x", type="float")]
        self.signature = Signature(columns=columns, kind="regression", target="y")
        self.digest, self.form, self.inline, self.held_bytes = "slow", "native", True, 0
        self.asks = RowChecks(Contract(), [])

    def check(self, columns: Any) -> Any:
        """Return rows ready to be scored."""
        from mainspring.scaling.models.check import check

        return check(columns, self.signature)

    def score(self, rows: Any) -> Any:
        """Return scores of shape (rows, 1), in its time."""
        import numpy as np

        time.sleep(ROW_S * rows.rows)
        return np.zeros((rows.rows, 1))

    def labels(self, scores: Any) -> list[Any]:
        """Return the values."""
        found: list[Any] = scores[:, 0].tolist()
        return found

    def warm(self) -> None:
        """Have nothing to load."""

    def close(self) -> None:
        """Hold nothing."""


def serve_one(folder: Path) -> None:
    """Serve the slow model until the standard input closes; say the port first."""
    from mainspring.ground.objects import Routing
    from mainspring.ground.permissions import owner
    from mainspring.ground.settings import Settings
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.recorder import CaptureWriter
    from mainspring.scaling.serving.server import serve

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    routing = Routing(endpoint="slow", model="slow", champion=1, champion_package="slow")
    app = EndpointApp(
        "slow",
        lambda: routing,
        lambda _: Slow(),
        CaptureWriter(folder),
        lambda _: owner(),
        Settings(root=str(folder), home=str(folder)),
        changed=lambda: 0,
    )
    serve(app, "127.0.0.1", 0, lambda port: print(port, flush=True), stop)


# ---------------------------------------------------------------- the load


class Client:
    """One connection that is opened anew when it was left."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> tuple[int, float, bool]:
        """Return the status (0: gave up or failed), the seconds, and whether it says when next."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, told = await self._answer()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            self.leave()
            status, told = 0, False
        return status, time.perf_counter() - start, told

    async def _answer(self) -> tuple[int, bool]:
        if self._link is None:
            self._link = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._link
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            self.leave()
        return int(head[9:12]), b"retry-after: " in head

    def leave(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link[1].transport.abort()
            self._link = None


Told = list[tuple[int, float, bool]]


async def closed(port: int, clients: int, seconds: float) -> Told:
    """Have each of some clients ask again and again."""
    found: Told = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        client = Client(port)
        while time.perf_counter() < end:
            told = await client.ask()
            if time.perf_counter() < end:  # or the queue that is left would count as speed
                found.append(told)
        client.leave()

    await asyncio.gather(*(one() for _ in range(clients)))
    return found


async def storm(port: int, rate: float, seconds: float) -> tuple[Told, int]:
    """Ask at a rate from :data:`CLIENTS` connections; those that are busy then skip their turn."""
    found: Told = []
    clients = [Client(port) for _ in range(CLIENTS)]
    free, tasks, skipped = list(clients), set(), 0

    async def one(client: Client) -> None:
        found.append(await client.ask())
        free.append(client)

    start = time.perf_counter()
    asked = 0
    while (now := time.perf_counter() - start) < seconds:
        while asked < now * rate:
            asked += 1
            if not free:
                skipped += 1
                continue
            task = asyncio.ensure_future(one(free.pop(0)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.002)
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in clients:
        client.leave()
    return found, skipped


def share(seconds: list[float], of: float) -> float:
    """Return a quantile in milliseconds."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(of * len(seconds)))] if seconds else 0


async def measure(port: int) -> int:
    """Print what was found; return how many promises were broken."""
    await closed(port, 2, 0.5)
    full = [one for one in await closed(port, 64, SATURATED_S) if one[0] == 200]
    peak, p99 = len(full) / SATURATED_S, share([one[1] for one in full], 0.99)
    print(f"  saturated by 64 clients: {peak:6.0f} answers/s, p99 {p99:6.0f} ms")
    found, skipped = await storm(port, 10 * peak, STORM_S)
    good = [one[1] for one in found if one[0] == 200]
    refused = [one for one in found if one[0] in (429, 503)]
    lost = [one for one in found if one[0] not in (200, 429, 503)]
    print(
        f"  ten times that:          {len(good) / STORM_S:6.0f} answers/s"
        f" ({100 * len(good) / STORM_S / peak:.0f} % of it), p99 {share(good, 0.99):6.0f} ms"
        f" ({share(good, 0.99) / max(p99, 1e-9):.2f} x)"
    )
    print(
        f"  refused:                 {len(refused) / STORM_S:6.0f} /s within"
        f" p50 {share([one[1] for one in refused], 0.5):.1f},"
        f" p95 {share([one[1] for one in refused], 0.95):.0f},"
        f" p99 {share([one[1] for one in refused], 0.99):.0f} ms,"
        f" {sum(one[2] for one in refused)} of {len(refused)} with Retry-After;"
        f" {len(lost)} gave up or failed, {skipped} had no client free"
    )
    start, first = time.perf_counter(), None
    client = Client(port)
    while time.perf_counter() - start < AFTER_S and first is None:
        status, took, _ = await client.ask()
        if status == 200 and took < 0.1:
            first = time.perf_counter() - start
    client.leave()
    told = "not at all" if first is None else f"{1000 * first:.0f} ms"
    print(f"  after the storm:         a lone request is answered within 100 ms after {told}")
    return (len(good) / STORM_S < 0.9 * peak) + (first is None)


def main() -> int:
    """Measure one server of its own."""
    if len(sys.argv) > 2:
        serve_one(Path(sys.argv[2]))
        return 0
    print(
        f"overload: a model of {1000 * ROW_S:g} ms a row, {CLIENTS} clients that leave after 2 s"
    )
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, __file__, "serve", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            return asyncio.run(measure(int(server.stdout.readline())))
        finally:
            server.communicate(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
