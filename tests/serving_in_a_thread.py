"""Servers in threads of a test's own process: they answer when they are given, and end with it.

:func:`served` serves as the main port is served, :func:`answering` as an endpoint is, and
:func:`listening` gives a thread to a server of the standard library: each yields once requests
are answered, and has stopped, joined and looked that the thread has ended when it is left.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from waiting import WITHIN_S

Ready = Callable[[int], None]
S = TypeVar("S", bound=socketserver.BaseServer)


@contextlib.contextmanager
def begun(serve: Callable[[Ready, threading.Event], object]) -> Iterator[int]:
    """Have ``serve(ready, stop)`` at work in a thread; yield the port that it is ready at."""
    ports: list[int] = []
    answers, stop = threading.Event(), threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        answers.set()

    thread = threading.Thread(target=serve, args=(ready, stop), name="served")
    thread.start()
    try:
        end = time.monotonic() + WITHIN_S
        while not answers.wait(0.2):
            assert thread.is_alive(), "the server ended before it answered"
            assert time.monotonic() < end, "the server does not answer"
        yield ports[0]
    finally:
        stop.set()
        thread.join(WITHIN_S)
    assert not thread.is_alive(), "the server does not end"


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an application as the main port is, at a free port if no other; yield its URL."""
    from mainspring.web.server import bind, serve

    with contextlib.closing(bind("127.0.0.1", port)) as bound:
        at = bound.getsockname()[1]
        with begun(lambda ready, stop: serve(app, bound, lambda: ready(at), stop)):
            yield f"http://127.0.0.1:{at}"


@contextlib.contextmanager
def answering(app: Any, **options: Any) -> Iterator[int]:
    """Serve an application as endpoints are, with options of theirs; yield its port."""
    from mainspring.scaling.serving.server import serve

    with begun(lambda ready, stop: serve(app, "127.0.0.1", 0, ready, stop, **options)) as port:
        yield port


@contextlib.contextmanager
def listening(server: S) -> Iterator[S]:
    """Let a server of the standard library serve; it is closed afterwards."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="listening")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(WITHIN_S)
        server.server_close()
    assert not thread.is_alive(), "the server does not end"
