"""Serve the main port until told to stop, and let what has begun end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp
from uvicorn import Config, Server

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.workspace.access import own_names
from mainspring.workspace.opening import Workspace
from mainspring.workspace.peers import http_protocol

#: What has begun gets this long to end, in whole seconds as uvicorn counts them. The supervisor
#: kills a web process 3 s after it asked: what follows the drain needs the rest of that.
DRAIN_S = 2
_TICK_S = 0.05


def serve_web(
    ws: Workspace,
    host: str,
    port: int,
    on_ready: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Serve a workspace until ``stop`` is set; ``on_ready`` is called once connections count.

    Signals are the caller's business: they set ``stop``.

    Raises:
        ConflictError: if another program has the port.
        BadInputError: if the host is none of this machine's.
    """
    from mainspring.web.app import build_app

    with contextlib.closing(bind(host, port)) as listening:
        serve(build_app(ws, own_names(ws.settings, host)), listening, on_ready, stop)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port; 0 takes a free one.

    Raises:
        ConflictError: if another program has the port.
        BadInputError: if the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(2048)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} on {host} is taken by another program.",
                field="port",
                hint="Choose another with --port, or end the other program.",
            ) from error
        raise BadInputError(
            f"Cannot serve on {host}:{port}: {error.strerror}.", field="host"
        ) from error
    return found


def serve(
    app: ASGIApp, listening: socket.socket, on_ready: Callable[[], None], stop: threading.Event
) -> None:
    """Serve an app on a socket until ``stop`` is set, then drain."""
    config = Config(
        app,
        http=http_protocol(),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # X-Forwarded-For would let anybody on this machine be somebody else.
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_until(server, listening, on_ready, stop))


async def _until(
    server: Server, listening: socket.socket, on_ready: Callable[[], None], stop: threading.Event
) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    told = False
    while not serving.done():
        if server.started and not told:
            told = True
            on_ready()
        if stop.is_set():
            server.should_exit = True
        await asyncio.sleep(_TICK_S)
    await serving


class _Server(Server):
    """Uvicorn's server, leaving the signals to the process that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take over no signal."""
        yield
