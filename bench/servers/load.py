"""Ask a server from a process of its own, and say how it did.

Usage: ``python load.py URL BODY CONNECTIONS SECONDS``.

Requests are bytes made once, answers are counted and not read further than their length, so that
the client takes as little of the machine as it can. Closed loop: each connection has one request
under way.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


class Asker(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, end: float, told: dict[str, list[float]]) -> None:
        self._request, self._end, self._told = request, end, told
        self._data = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole, and ask again."""
        self._data = self._data + data if self._data else data
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _length(self._data[:head].lower())
        if length is None:
            if not self._data.endswith(b"0\r\n\r\n"):
                return
        elif len(self._data) < head + 4 + length:
            return
        now = time.perf_counter()
        ok = self._data[9:12] == b"200"
        self._told["took" if ok else "failed"].append(now - self._began)
        self._data = b""
        if now < self._end:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Be done."""
        if not self.done.done():
            self.done.set_result(None)


def _length(head: bytes) -> int | None:
    _, found, rest = head.partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else None


async def ask(url: str, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Return requests a second and quantiles of the seconds that answers took."""
    to = urlsplit(url)
    request = (
        f"POST {to.path} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop, told = asyncio.get_running_loop(), {"took": [], "failed": []}
    start = time.perf_counter()
    askers = [
        (
            await loop.create_connection(
                lambda: Asker(request, start + seconds, told), to.hostname, to.port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in askers))
    took = sorted(told["took"])
    whole = time.perf_counter() - start
    at = lambda share: took[min(int(share * len(took)), len(took) - 1)] * 1e3 if took else None  # noqa: E731
    return {
        "answers": len(took),
        "failed": len(told["failed"]),
        "per_s": len(took) / whole,
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    }


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.install()
    except ImportError:
        pass
    sent = Path(sys.argv[2]).read_bytes()
    print(json.dumps(asyncio.run(ask(sys.argv[1], sent, int(sys.argv[3]), float(sys.argv[4])))))
