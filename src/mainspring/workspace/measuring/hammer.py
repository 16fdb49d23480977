"""Ask one HTTP server from many connections at once, for little CPU: what capacity is found with.

A closed load asks again as soon as it is answered, so that a slow server is asked less; an open
one asks at a given rate whatever comes back, as a crowd does, and counts the time from when a
request was due and not from when a connection was free for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Sequence
from time import perf_counter  # a loop of uvloop knows milliseconds only
from typing import Any

import msgspec
import numpy as np

#: After the end of a step what is under way may still be answered, so long.
GRACE_S = 5.0


class Answers(msgspec.Struct):
    """What came of one step: milliseconds of each good answer, and how many others came."""

    good_ms: list[float] = []
    refused: int = 0  #: 429 and 503: the server said at once that it has too much to do
    errors: int = 0  #: any other answer, and none
    seconds: float = 0.0
    told: str = ""  #: of the first error


class _Line(asyncio.Protocol):
    """One connection: sends a request, and tells when its answer is whole."""

    def __init__(self, hammer: Hammer) -> None:
        self._hammer, self._got = hammer, b""
        self._whole = 0  #: bytes of the answer, known once its head is there
        self.due = 0.0
        self.transport: Any = None  #: uvloop's are no asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self.due, self._got, self._whole = due, b"", 0
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._whole:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._got[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._whole = end + 4 + length
        if len(self._got) >= self._whole:
            self._hammer.answered(self, int(self._got[9:12]), self._got)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hammer.lost(self, exc)


class Hammer:
    """Asks a server on loopback with requests that are taken in turn."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port, self._requests = port, requests
        self._place = 0
        self._found = Answers()
        self._free: deque[_Line] = deque()
        self._due: deque[float] = deque()  #: asked for while no connection was free
        self._busy: set[_Line] = set()
        self._again = False
        self._end = 0.0
        self._quiet = asyncio.Event()

    def closed(self, connections: int, seconds: float) -> Answers:
        """Ask from so many connections, each again as soon as it is answered."""
        return _run(self._closed(connections, seconds))

    def open(self, rate: float, connections: int, seconds: float, seed: int = 0) -> Answers:
        """Ask ``rate`` times a second at random moments, over at most so many connections."""
        return _run(self._open(rate, connections, seconds, seed))

    async def _closed(self, connections: int, seconds: float) -> Answers:
        await self._connect(connections)
        start, self._again = perf_counter(), True
        self._end = start + seconds
        while self._free:
            self._ask(self._free.popleft(), perf_counter())
        await asyncio.sleep(seconds)
        return await self._finish(start)

    async def _open(self, rate: float, connections: int, seconds: float, seed: int) -> Answers:
        await self._connect(connections)
        gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds * 1.5) + 10)
        start, self._again = perf_counter(), False
        self._end = start + seconds
        for at in (start + np.cumsum(gaps)).tolist():
            if at > self._end:
                break
            wait = at - perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._free:
                self._ask(self._free.popleft(), at)
            else:
                self._due.append(at)
        return await self._finish(start)

    async def _connect(self, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self._port)
            self._free.append(line)

    async def _finish(self, start: float) -> Answers:
        self._found.seconds = perf_counter() - start
        self._again = False
        if self._busy or self._due:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), GRACE_S)
        self._found.errors += len(self._busy) + len(self._due)
        lines, self._busy = [*self._busy, *self._free], set()
        self._due.clear()
        for line in lines:
            line.transport.abort()
        return self._found

    def _ask(self, line: _Line, due: float) -> None:
        request = self._requests[self._place % len(self._requests)]
        self._place += 1
        self._busy.add(line)
        line.ask(request, due)

    def answered(self, line: _Line, status: int, whole: bytes) -> None:
        """Count an answer, and ask the next."""
        now = perf_counter()
        self._busy.discard(line)
        if status == 200:
            self._found.good_ms.append(1000 * (now - line.due))
        elif status in (429, 503):
            self._found.refused += 1
        else:
            self._fail(f"{status} {whole.partition(b'{')[2][:200].decode('utf-8', 'replace')}")
        if self._due:
            self._ask(line, self._due.popleft())
        elif self._again and now < self._end:
            self._ask(line, now)
        else:
            self._free.append(line)
            self._rest()

    def lost(self, line: _Line, error: Exception | None) -> None:
        """Count a request whose connection ended before its answer."""
        if line in self._busy:
            self._busy.discard(line)
            self._fail(f"the connection was lost: {error}")
            self._rest()

    def _rest(self) -> None:
        if not self._busy and not self._due:
            self._quiet.set()

    def _fail(self, told: str) -> None:
        self._found.errors += 1
        self._found.told = self._found.told or told


def _run(work: Coroutine[Any, Any, Answers]) -> Answers:
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def request(path: str, body: bytes, secret: str) -> bytes:
    """Return a whole request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
