"""Servers that share one socket and leave it, under clients that keep their connections."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvloop

from mainspring.scaling.serving import leaving
from mainspring.scaling.serving.pulse import Pulse
from serving_in_a_thread import answering
from waiting import until


class Told:
    """A server in a thread that answers who it is, and what uvicorn knows of it."""

    def __init__(self, name: str, shared: socket.socket) -> None:
        self.name, self.answered = name, 0
        self.state: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        own = socket.socket(fileno=shared.dup().detach())
        self.serving = ExitStack()
        self.serving.enter_context(answering(self, shared=own, on_start=self.on_start))

    def on_start(self, state: Any) -> None:
        self.state, self.loop = state, asyncio.get_running_loop()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        body = self.name.encode()
        head = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})
        self.answered += 1

    def end(self) -> None:
        self.serving.close()


@pytest.fixture
def shared() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening


def clients(url: str, number: int, done: threading.Event) -> tuple[list[threading.Thread], list]:
    """Ask without a pause, each on a connection that it keeps, and keep what failed."""
    failed: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not done.is_set():
                try:
                    assert client.get("/").status_code == 200
                except httpx.HTTPError as error:
                    failed.append(repr(error))

    started = [threading.Thread(target=ask) for _ in range(number)]
    for one in started:
        one.start()
    return started, failed


def test_a_server_that_leaves_a_shared_socket_fails_no_request(shared: socket.socket) -> None:
    url = f"http://127.0.0.1:{shared.getsockname()[1]}"
    one, done = Told("one", shared), threading.Event()
    asking, failed = clients(url, 6, done)
    try:
        until(lambda: one.answered > 50)
        two = Told("two", shared)
        one.end()
        at = two.answered
        until(lambda: two.answered > at + 50)
    finally:
        done.set()
        for thread in asking:
            thread.join(60)
        one.end()
        two.end()
    assert failed == []


def test_connections_that_are_shed_come_back_and_none_is_lost(shared: socket.socket) -> None:
    url = f"http://127.0.0.1:{shared.getsockname()[1]}"
    server, done = Told("one", shared), threading.Event()
    asking, failed = clients(url, 4, done)
    try:
        until(lambda: len(server.state.connections) == 4)
        before = set(map(id, server.state.connections))
        kept = list(server.state.connections)  # so that no id is given again
        assert server.loop is not None
        server.loop.call_soon_threadsafe(leaving.shed, server.state, 3)
        until(lambda: len({id(c) for c in set(server.state.connections)} - before) >= 3)
        assert len(kept) == 4
    finally:
        done.set()
        for thread in asking:
            thread.join(60)
        server.end()
    assert failed == []


def test_a_client_that_stood_still_with_the_machine_is_waited_for_and_not_hung_up_on() -> None:
    async def leave() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            here = SimpleNamespace(default_headers=[])
            connection = SimpleNamespace(server_state=here)
            here.connections = [connection]

            def answer() -> None:  # with its last answer the client goes
                ours.recv(1)
                here.connections.clear()

            async def farewell() -> list[Any]:
                await leaving.farewell([], here)
                return list(here.connections)

            asyncio.get_running_loop().add_reader(ours, answer)
            leaves = asyncio.create_task(farewell())
            await asyncio.sleep(0)
            time.sleep(0.6)  # noqa: ASYNC251  nothing goes on: longer than a farewell takes
            asyncio.get_running_loop().call_later(0.05, theirs.send, b"x")
            hung_up_on = await leaves
            asyncio.get_running_loop().remove_reader(ours)
            assert hung_up_on == []

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(leave())


def test_a_pulse_tells_what_happened_since_the_last() -> None:
    class State:
        tasks: set[int] = {1, 2, 3}
        connections: set[int] = {1, 2}

    told: list[dict[str, Any]] = []
    counts = [0, 5]
    twice = asyncio.Event()

    def tell(beat: dict[str, Any]) -> None:
        told.append(beat)
        State.tasks = set()
        if len(told) == 2:
            twice.set()

    async def feel() -> None:
        Pulse(State, lambda: counts, tell).begin()
        counts[0] += 7
        await asyncio.wait_for(twice.wait(), 60)

    asyncio.run(feel())
    busy, quiet = told
    assert (busy["flying"], busy["open"], busy["took"]) == (3.0, 2, [7, 0])
    assert quiet["took"] == [0, 0]
