"""One process that serves many endpoints, each below ``/e/NAME``, loading models on demand.

A request for an endpoint whose model is not in memory loads it first, in a thread; those that
come meanwhile wait for the same load, and all other endpoints go on. What is in memory is bounded
by a number of models and by bytes: the endpoint that was asked the longest ago is let go of first,
never one with a request under way. Read first: ``places.py`` (what is in
memory), ``library.py`` (loading once), then this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

from mainspring.ground.errors import (
    AlreadyExistsError,
    ConflictError,
    MainspringError,
    NotFoundError,
    OverloadedError,
)
from mainspring.ground.exposition import Family, gauge, histogram, text_of
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.body import Receive, Scope, Send
from mainspring.scaling.serving.metrics import EDGES
from mainspring.scaling.serving.places import Places
from mainspring.scaling.serving.protocols import multi_model
from mainspring.scaling.serving.protocols.calls import Reply, not_loaded
from mainspring.scaling.serving.protocols.catalog import Listed

UNDER = "/e/"
KNOWN_S = 10.0  # what was made here is served here within

Handler = Callable[["Host", Scope, Receive, Send], Any]


class Host:
    """An ASGI application of many endpoints. All of it belongs to one event loop.

    Args:
        places: the endpoints, and what of their models is in memory.
        authenticate: an ASGI scope -> who asks; raises a MainspringError to refuse.
        create: makes an endpoint that serves a model; None: none can be made here.
        begin, end: called in threads when the process begins to serve, and when it ends.
    """

    def __init__(
        self,
        places: Places,
        authenticate: Callable[[Mapping[str, Any]], Principal],
        *,
        create: Callable[[str, str], None] | None = None,
        begin: Callable[[asyncio.AbstractEventLoop], None] = lambda _: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self.places = places
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "/status"): Host._status,
            ("GET", "/metrics"): Host._metrics,
            ("GET", "/e"): Host._every,
        }
        self._authenticate = authenticate
        self._create, self._begin, self._end = create, begin, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        try:
            if path.startswith(UNDER):
                name, slash, rest = path[len(UNDER) :].partition("/")
                await self.pass_on(name, slash + rest or "/", scope, receive, send)
                return
            if multi_model.is_mine(path):
                reply = await multi_model.answer(self, self.admitted, scope, receive, send)
                if reply is not None:
                    await _reply(send, reply)
                return
            handler = self.routes.get((scope["method"], path))
            if handler is None:
                raise NotFoundError(
                    f"There is no {scope['method']} {path[:200]}.",
                    hint=f"Endpoints are below {UNDER}NAME.",
                )
            await handler(self, scope, receive, send)
        except MainspringError as error:
            await _reply(send, answers.refused(error, path))

    async def pass_on(
        self, name: str, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Have an endpoint answer a request as if it had come for ``path`` there.

        Raises:
            NotFoundError: if there is none by that name.
        """
        place = self.places.get(name)
        inner = {**scope, "path": path, "raw_path": path.encode()}
        await self.places.app(place)(inner, receive, send)

    # ------------------------------------------------------------ life

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.places.begin()
                await asyncio.to_thread(self._begin, asyncio.get_running_loop())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self._end)
                await self.places.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ------------------------------------------------------------ the catalog

    def names(self, after: str | None = None, limit: int = 100) -> tuple[list[Listed], str | None]:
        """Return a page of the endpoints by name, and what to ask ``after`` for the next."""
        found = sorted(name for name in self.places.known if after is None or name > after)
        page = [self.get(name) for name in found[:limit]]
        return page, page[-1].name if len(found) > limit else None

    def get(self, name: str) -> Listed:
        """Return one endpoint.

        Raises:
            NotFoundError: if there is none by that name.
        """
        place = self.places.get(name)
        return Listed(
            name=name,
            reference=f"{place.routing.model}@champion",
            loaded=place.awake,
            bytes=sum(self.places.library.bytes_of(scorer) for scorer in place.scorers()),
            version=place.routing.champion,
        )

    async def load(self, name: str, reference: str | None = None) -> Listed:
        """Have a model in memory; see ``Catalog.load``."""
        if name not in self.places.known and reference is not None and self._create is not None:
            model = reference.removesuffix("@champion")
            await asyncio.to_thread(self._create, name, model)
            if not await self.places.known_by(name, KNOWN_S):
                raise OverloadedError(f"{name} was made and is not served yet.")
        place = self.places.get(name)
        if place.awake:
            raise AlreadyExistsError(f"{name} is in memory already.", field="name")
        known = (None, place.routing.model, f"{place.routing.model}@champion")
        if reference not in known:
            raise ConflictError(
                f"{name} serves {known[2]}, not {reference}.", field="url", hint="Ask for that."
            )
        app = self.places.app(place)
        await self.places.wake(place)
        if app.generations.current.champion is None:
            raise not_loaded(name, app.generations.trouble)
        return self.get(name)

    async def unload(self, name: str) -> None:
        """Let go of a model until it is asked again.

        Raises:
            NotFoundError: if there is none by that name.
        """
        self.places.let_go(self.places.get(name))

    # ------------------------------------------------------------ accounts

    def account(self) -> dict[str, Any]:
        """Return how the host is, as its ``/status`` shows it."""
        held = self.places.held()
        return {
            "endpoints": len(self.places.known),
            "awake": sum(place.awake for place in self.places.known.values()),
            "models": len(held),
            "most_models": self.places.most_models,
            "bytes": sum(held.values()),
            "most_bytes": self.places.most_bytes,
            "loads": self.places.library.loads,
            "hits": self.places.library.hits,
            "evictions": self.places.evictions,
            "loading": sum(place.waking is not None for place in self.places.known.values()),
            "load_p50_ms": self.places.library.latency.quantile_ms(0.5),
            "load_p99_ms": self.places.library.latency.quantile_ms(0.99),
        }

    def admitted(self, scope: Mapping[str, Any], permission: Permission) -> Principal:
        """Return who asks, if that one may.

        Raises:
            MainspringError: if not.
        """
        who = self._authenticate(scope)
        authorise(who, permission)
        return who

    async def _status(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.admitted(scope, Permission.READ)
        await _reply(send, answers.as_json(self.account()))

    async def _every(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Tell of all endpoints at once: to ask hundreds one by one takes seconds."""
        self.admitted(scope, Permission.READ)
        told: dict[str, Any] = {}
        for number, place in enumerate(list(self.places.known.values())):
            told[place.name] = self.places.app(place).status()
            if number % 20 == 0:
                await asyncio.sleep(0)  # requests come between
        await _reply(send, answers.as_json({"endpoints": told}))

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.admitted(scope, Permission.READ)
        text = text_of(self._families()).encode()
        await _reply(send, Reply(200, b"text/plain; version=0.0.4", text))

    def _families(self) -> list[Family]:
        told = self.account()
        return [
            *(
                gauge(f"mainspring_host_{name}", words, [({}, float(told[key]))], kind=kind)
                for name, key, words, kind in _FIGURES
            ),
            histogram(
                "mainspring_host_load_seconds",
                "Time to load a model.",
                [({}, self.places.library.latency.counts, self.places.library.latency.total_s)],
                EDGES,
            ),
        ]


#: name, key of the account, what it says, kind
_FIGURES: tuple[tuple[str, str, str, Literal["counter", "gauge"]], ...] = (
    ("endpoints", "endpoints", "Endpoints that are served by the shared host.", "gauge"),
    ("models", "models", "Models in its memory.", "gauge"),
    ("model_bytes", "bytes", "Memory they hold.", "gauge"),
    ("loading", "loading", "Models that are being loaded.", "gauge"),
    ("loads_total", "loads", "Models loaded.", "counter"),
    ("evictions_total", "evictions", "Times an endpoint was let go of for another.", "counter"),
)


async def _reply(send: Send, reply: Reply) -> None:
    length = str(len(reply.body)).encode()
    headers = [(b"content-type", reply.kind), (b"content-length", length), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
