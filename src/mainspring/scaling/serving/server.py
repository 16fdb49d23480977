"""Run an ASGI application on uvicorn until it is told to stop, then let requests finish."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from mainspring.ground.errors import ConflictError
from mainspring.scaling.serving.leaving import farewell

DRAIN_S = 2  # requests under way have this long to finish; the supervisor kills after 3 s
STOP_POLL_S = 0.05
#: An idle connection is kept for so many seconds: longer than clients keep theirs (httpx, and with
#: it the main port: 5 s). Who closes first must be the client. If both do at the same moment, a
#: request that comes then is lost.
KEEP_S = 30


def serve(
    app: Any,
    host: str,
    port: int,
    on_ready: Callable[[int], None],
    stop: threading.Event,
    http: Any = None,
    *,
    shared: socket.socket | None = None,
    on_start: Callable[[Any], None] | None = None,
) -> None:
    """Serve ``app`` until ``stop`` is set or SIGTERM or SIGINT comes; then drain and return.

    ``on_ready`` gets the port (``port`` 0 takes a free one) once requests are answered.
    ``http`` is uvicorn's protocol by name or class; by default the one with bounds. ``shared`` is
    a listening socket that other processes accept from as well. ``on_start`` gets uvicorn's state
    (its connections and tasks) in the event loop.

    Raises:
        ConflictError: if the port is in use.
    """
    listener = _listen(host, port)
    sockets = [listener] if shared is None else [listener, shared]
    own = listener.getsockname()[1]
    server = _server(app, http, lambda: on_ready(own), on_start)
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set() and not server.should_exit:
            if stop.wait(STOP_POLL_S):
                server.should_exit = True

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        with _signals(server):
            server.run(sockets=sockets)
    finally:
        ended.set()
        watcher.join(timeout=1)
        for one in sockets:
            one.close()


def _server(
    app: Any, http: Any, on_ready: Callable[[], None], on_start: Callable[[Any], None] | None
) -> Any:
    """Return uvicorn's server, which tells when it is ready, and leaves the signals to us."""
    import uvicorn

    from mainspring.scaling.serving.connections import BoundedProtocol

    class Server(uvicorn.Server):
        """Begins, ends and is told to end as we need it."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                if on_start is not None:
                    on_start(self.server_state)
                on_ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await farewell(self.servers, self.server_state)
            await super().shutdown(sockets)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,
            http=http or BoundedProtocol,
            lifespan="on",
            access_log=False,
            log_level="warning",
            log_config=None,
            server_header=False,
            proxy_headers=False,  # who asks is who is connected, whatever a header says
            timeout_keep_alive=KEEP_S,
            timeout_graceful_shutdown=DRAIN_S,
            backlog=2048,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} on {host} is in use.",
                field="port",
                hint="Stop what uses it, or choose another: --port",
            ) from error
        raise
    listener.set_inheritable(False)
    return listener


@contextlib.contextmanager
def _signals(server: Any) -> Iterator[None]:
    """Drain on SIGTERM and SIGINT where nobody else has taken them over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def drain(*_: Any) -> None:
        server.should_exit = True

    taken: dict[signal.Signals, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            taken[number] = signal.signal(number, drain)
    try:
        yield
    finally:
        for number, before in taken.items():
            signal.signal(number, before)
