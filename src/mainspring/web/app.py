"""The main port: API, predictions, pages, health and metrics behind one front."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from mainspring.ground import structs
from mainspring.ground.errors import MainspringError
from mainspring.ground.permissions import Permission, Principal, service
from mainspring.web import dispatch, hooks, metrics, pages
from mainspring.web.front import Front, send_bytes
from mainspring.web.limits import Threads
from mainspring.web.mlflow import errors as wire_errors
from mainspring.web.mlflow import routes as wire
from mainspring.web.proxy import Proxy, named_for_aws
from mainspring.workspace.access import Gatekeeper
from mainspring.workspace.opening import Workspace

#: What MLflow's clients take us for: from 3.4 on they would send traces to a path we do not have.
WIRE_VERSION = "3.3.0"


def build_app(ws: Workspace, hosts: frozenset[str] = frozenset()) -> ASGIApp:
    """Return the ASGI app of a workspace. ``hosts`` are names of this server besides localhost."""
    structs.prepare()
    threads = Threads()
    requests = metrics.Requests()
    proxy = Proxy(ws.acting_as(service("web")), threads)
    own = _Own(ws, threads, requests)
    gatekeeper = Gatekeeper(ws, hosts)
    routes: list[BaseRoute] = [
        Route("/health", own.health, methods=["GET"]),
        Route("/version", own.version, methods=["GET"]),
        Route("/metrics", own.metrics, methods=["GET"]),
        *dispatch.routes(ws, threads),
        *hooks.routes(ws, threads),
        *proxy.routes(),
        *wire.routes(ws, threads),
        *pages.routes(ws, gatekeeper.admit, threads),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await proxy.close()

    router = Router(routes, redirect_slashes=False, lifespan=lifespan)
    wires = dict.fromkeys(wire_errors.PREFIXES, wire_errors.reworded)
    wires["/endpoints/"] = named_for_aws
    return pages.Doorway(Front(router, gatekeeper, requests, pages.OPEN_PATHS, wires))


class _Own:
    """What the server says of itself outside of the table of operations."""

    def __init__(self, ws: Workspace, threads: Threads, requests: metrics.Requests) -> None:
        self._ws = ws
        self._threads = threads
        self._requests = requests
        self.health = _Answer(self._health)
        self.version = _Answer(self._version)
        self.metrics = _Answer(self._metrics)

    async def _health(self, scope: Scope, send: Send) -> None:
        """Answer OK when the store answers and the engine lives."""
        scope["state"]["route"] = "/health"
        trouble = await self._threads.run(self._trouble)
        body = f"{trouble}\n".encode() if trouble else b"OK"
        await send_bytes(send, body, "text/plain; charset=utf-8", 503 if trouble else 200)

    def _trouble(self) -> str:
        from mainspring.workspace.views.house import engine_state

        own = self._ws.acting_as(service("web"))
        try:
            own.read(Permission.READ, lambda tx: tx.lease_now())
        except MainspringError:
            return "the store does not answer"
        return "" if engine_state(own) == "up" else "the engine does not answer"

    async def _version(self, scope: Scope, send: Send) -> None:
        scope["state"]["route"] = "/version"
        await send_bytes(send, WIRE_VERSION.encode(), "text/plain; charset=utf-8")

    async def _metrics(self, scope: Scope, send: Send) -> None:
        scope["state"]["route"] = "/metrics"
        who: Principal = scope["state"]["principal"]
        ws = self._ws.acting_as(who)
        text = await self._threads.run(lambda: metrics.exposition(ws, self._requests))
        await send_bytes(send, text.encode(), metrics.CONTENT_TYPE)


_Source = Callable[[Scope, Send], Awaitable[None]]


class _Answer:
    """Makes an ASGI app of a function that needs no body."""

    def __init__(self, answer: _Source) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        await self._answer(scope, send)
