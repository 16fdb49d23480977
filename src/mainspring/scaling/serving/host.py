"""One process that serves many endpoints, each below ``/e/NAME``, loading models on demand.

A request for an endpoint whose model is not in memory loads it first, in a thread; those that
come meanwhile wait for the same load, and all other endpoints go on. What is in memory is bounded
by a number of models and by bytes: the endpoint that was asked the longest ago is let go of first,
never one with a request under way. Read first: ``library.py`` (loading once), then this.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Literal

from mainspring.ground.errors import (
    AlreadyExistsError,
    ConflictError,
    MainspringError,
    NotFoundError,
    OverloadedError,
)
from mainspring.ground.exposition import Family, gauge, histogram, text_of
from mainspring.ground.objects import EndpointLimits, Routing
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.body import Receive, Scope, Send
from mainspring.scaling.serving.library import Library, give_back
from mainspring.scaling.serving.metrics import EDGES
from mainspring.scaling.serving.protocols.calls import Call, Reply, not_loaded
from mainspring.scaling.serving.protocols.catalog import Listed

_log = logging.getLogger(__name__)

UNDER = "/e/"
TEND_S = 2.0  # memory is looked at this often, also where nothing is loaded
KNOWN_S = 10.0  # what was made here is served here within
RETRY_S = 1.0  # a model that cannot be loaded is tried again this often
LOADERS = 8  # models that are loaded at a time; slow ones must not keep others from it

#: Makes the application of an endpoint: its name, what it should serve, what loads a package.
Make = Callable[[str, Callable[[], Routing], Callable[[str], Scorer]], EndpointApp]
Handler = Callable[["Host", Scope, Receive, Send], Any]


class Place:
    """One endpoint of a host."""

    def __init__(self, name: str, routing: Routing) -> None:
        self.name = name
        self.routing = routing
        self.app: EndpointApp | None = None  # made when it is asked for the first time
        self.waking: asyncio.Task[None] | None = None
        self.following: asyncio.Task[None] | None = None
        self.waiting = 0  #: requests that wait for the model to be loaded
        self.not_before = 0.0  #: a load that failed is not tried again before

    @property
    def awake(self) -> bool:
        """Return whether its model is in memory."""
        return self.app is not None and self.app.generations.current.champion is not None

    @property
    def idle(self) -> bool:
        """Return whether nothing is loaded, and nobody waits for an answer of it."""
        if self.waking is not None or self.following is not None:
            return False
        return self.app is None or self.app.counts.in_flight == 0

    @property
    def limits(self) -> EndpointLimits:
        """Return its limits as they are now."""
        return self.routing.options.limits

    def scorers(self) -> list[Scorer]:
        """Return what it holds in memory."""
        if self.app is None:
            return []
        now = self.app.generations.current
        return [v.served for v in (now.champion, now.challenger) if v is not None]


class Host:
    """An ASGI application of many endpoints. All of it belongs to one event loop.

    Args:
        make: makes the application of one endpoint.
        library: loads packages.
        authenticate: an ASGI scope -> who asks; raises a MainspringError to refuse.
        most_models: that are in memory at a time.
        most_bytes: that they hold together.
        create: makes an endpoint that serves a model; None: none can be made here.
        begin, end: called in threads when the process begins to serve, and when it ends.
    """

    def __init__(
        self,
        make: Make,
        library: Library,
        authenticate: Callable[[Mapping[str, Any]], Principal],
        *,
        most_models: int,
        most_bytes: int,
        create: Callable[[str, str], None] | None = None,
        begin: Callable[[Host], None] = lambda _: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self.library = library
        self.evictions = 0
        self.most_models, self.most_bytes = most_models, most_bytes
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "/status"): Host._status,
            ("GET", "/metrics"): Host._metrics,
        }
        self._authenticate = authenticate
        self._make, self._create, self._begin, self._end = make, create, begin, end
        self._places: dict[str, Place] = {}
        self._recent: OrderedDict[str, Place] = OrderedDict()  # awake, the longest ago first
        self._threads = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
        self._tending: asyncio.Task[None] | None = None
        self._routed = asyncio.Event()  # set, and replaced, when the routing was read

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
        place = self._place(name)
        inner = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(place)(inner, receive, send)

    # ------------------------------------------------------------ life

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._tending = asyncio.create_task(self._tend())
                await asyncio.to_thread(self._begin, self)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_S)
            self._shrink()

    async def _close(self) -> None:
        await asyncio.to_thread(self._end)
        if self._tending is not None:
            self._tending.cancel()
        loop = asyncio.get_running_loop()
        apps = [place.app for place in self._places.values() if place.app is not None]
        # What was captured is written out, each by its own folder.
        await asyncio.gather(*(loop.run_in_executor(self._threads, app.close) for app in apps))
        self._threads.shutdown(wait=False, cancel_futures=True)

    def route(self, routings: Mapping[str, Routing]) -> None:
        """Take over what each endpoint should serve now; those not named are not served here."""
        for name in self._places.keys() - routings.keys():
            place = self._places.pop(name)
            self._recent.pop(name, None)
            if place.app is not None:
                asyncio.get_running_loop().run_in_executor(self._threads, place.app.close)
        for name, routing in routings.items():
            place = self._places.setdefault(name, Place(name, routing))
            if place.routing != routing:
                place.routing = routing
                place.not_before = 0.0
                if place.awake and place.following is None:
                    place.following = asyncio.create_task(self._follow(place))
                elif place.app is not None and place.idle:
                    place.app.generations.let_go(routing)
        self._routed.set()
        self._routed = asyncio.Event()

    async def _follow(self, place: Place) -> None:
        """Bring an endpoint that is awake to what it should serve now; keep trying."""
        loop = asyncio.get_running_loop()
        try:
            while place.awake and place.app is not None:
                wanted = place.routing
                well = await loop.run_in_executor(self._threads, place.app.generations.look)
                if place.routing == wanted:
                    if well:
                        break
                    await asyncio.sleep(RETRY_S)
        finally:
            place.following = None
        if not place.awake:
            self._recent.pop(place.name, None)
        self._shrink()

    # ------------------------------------------------------------ models in memory

    def _place(self, name: str) -> Place:
        place = self._places.get(name)
        if place is None:
            raise NotFoundError(f"There is no endpoint {name[:128]!r} here.", field="name")
        return place

    def _app(self, place: Place) -> EndpointApp:
        if place.app is None:
            app = self._make(
                place.name,
                lambda: place.routing,
                lambda digest: self.library.get(digest, lambda: place.limits),
            )
            app.generations.let_go(place.routing)

            async def wake(call: Call) -> None:
                if _needs_model(call):
                    await self._wake(place)

            async def let_go() -> None:
                self._let_go(place)

            app.wake, app.let_go = wake, let_go
            place.app = app
        return place.app

    async def _wake(self, place: Place) -> None:
        """Have the model of an endpoint in memory, if it can be.

        Raises:
            OverloadedError: if it is not loaded in time, or too many wait for that already.
        """
        if place.awake:
            self._recent.move_to_end(place.name)
            return
        if place.routing.champion is None or monotonic() < place.not_before:
            return  # the endpoint says what is wrong
        if place.waiting >= place.limits.queue:
            raise OverloadedError(f"Too many wait for the model of {place.name} to be loaded.")
        if place.waking is None:
            place.waking = asyncio.create_task(self._load(place))
        place.waiting += 1
        try:
            async with asyncio.timeout(place.limits.timeout_ms / 1000):
                await asyncio.shield(place.waking)
        except TimeoutError:
            raise OverloadedError(
                f"The model of {place.name} is still being loaded.",
                hint="Ask again in a moment. Longer: limits.timeout_ms of the endpoint.",
            ) from None
        finally:
            place.waiting -= 1

    async def _load(self, place: Place) -> None:
        app, loop = self._app(place), asyncio.get_running_loop()
        try:
            self._shrink(more=1)
            wanted = place.routing
            await loop.run_in_executor(self._threads, app.generations.look)
            if place.awake:
                self._recent[place.name] = place
                self._recent.move_to_end(place.name)
            else:
                place.not_before = monotonic() + RETRY_S
        finally:
            place.waking = None
        if place.awake and place.routing != wanted and place.following is None:
            place.following = asyncio.create_task(self._follow(place))
        self._shrink()

    def _shrink(self, more: int = 0) -> None:
        """Let go of models until they and ``more`` fit, those asked the longest ago first."""
        went = False
        while True:
            held = self._held()
            over = len(held) + more > self.most_models or sum(held.values()) > self.most_bytes
            idle = next((p for p in self._recent.values() if p.idle), None) if over else None
            # The last one stays, whatever it holds: without it nothing could be answered.
            if idle is None or (not more and len(self._recent) == 1):
                break
            self._let_go(idle)
            self.evictions += 1
            went = True
        if went:
            self._threads.submit(give_back)

    def _held(self) -> dict[Scorer, int]:
        return {
            scorer: self.library.bytes_of(scorer)
            for place in self._recent.values()
            for scorer in place.scorers()
        }

    def _let_go(self, place: Place) -> None:
        if place.app is not None and place.waking is None and place.following is None:
            self._recent.pop(place.name, None)
            place.app.generations.let_go(place.routing)

    # ------------------------------------------------------------ the catalog

    def names(self, after: str | None = None, limit: int = 100) -> tuple[list[Listed], str | None]:
        """Return a page of the endpoints by name, and what to ask ``after`` for the next."""
        found = sorted(name for name in self._places if after is None or name > after)
        page = [self.get(name) for name in found[:limit]]
        return page, page[-1].name if len(found) > limit else None

    def get(self, name: str) -> Listed:
        """Return one endpoint.

        Raises:
            NotFoundError: if there is none by that name.
        """
        place = self._place(name)
        return Listed(
            name=name,
            reference=f"{place.routing.model}@champion",
            loaded=place.awake,
            bytes=sum(self.library.bytes_of(scorer) for scorer in place.scorers()),
            version=place.routing.champion,
        )

    async def load(self, name: str, reference: str | None = None) -> Listed:
        """Have a model in memory; see ``Catalog.load``."""
        if name not in self._places and reference is not None and self._create is not None:
            model = reference.removesuffix("@champion")
            await asyncio.to_thread(self._create, name, model)
            await self._known(name)
        place = self._place(name)
        if place.awake:
            raise AlreadyExistsError(f"{name} is in memory already.", field="name")
        known = (None, place.routing.model, f"{place.routing.model}@champion")
        if reference not in known:
            raise ConflictError(
                f"{name} serves {known[2]}, not {reference}.", field="url", hint="Ask for that."
            )
        app = self._app(place)
        await self._wake(place)
        if app.generations.current.champion is None:
            raise not_loaded(name, app.generations.trouble)
        return self.get(name)

    async def _known(self, name: str) -> None:
        """Wait until the routing of a new endpoint was read."""
        try:
            async with asyncio.timeout(KNOWN_S):
                while name not in self._places:
                    await self._routed.wait()
        except TimeoutError:
            raise OverloadedError(f"{name} was made and is not served yet.") from None

    async def unload(self, name: str) -> None:
        """Let go of a model until it is asked again.

        Raises:
            NotFoundError: if there is none by that name.
        """
        self._let_go(self._place(name))

    # ------------------------------------------------------------ accounts

    def account(self) -> dict[str, Any]:
        """Return how the host is, as its ``/status`` shows it."""
        held = self._held()
        return {
            "endpoints": len(self._places),
            "awake": len(self._recent),
            "models": len(held),
            "most_models": self.most_models,
            "bytes": sum(held.values()),
            "most_bytes": self.most_bytes,
            "loads": self.library.loads,
            "hits": self.library.hits,
            "evictions": self.evictions,
            "loading": sum(place.waking is not None for place in self._places.values()),
            "load_p50_ms": self.library.latency.quantile_ms(0.5),
            "load_p99_ms": self.library.latency.quantile_ms(0.99),
        }

    def admitted(self, scope: Scope, permission: Permission) -> Principal:
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
                [({}, self.library.latency.counts, self.library.latency.total_s)],
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


def _needs_model(call: Call) -> bool:
    """Return whether a request can only be answered with the model in memory."""
    if call.path.startswith("/v2/repository/"):
        return call.path.endswith("/load")
    if call.method == "POST":
        return True
    return call.path.startswith("/v2/models/") and not call.path.endswith("/ready")


async def _reply(send: Send, reply: Reply) -> None:
    length = str(len(reply.body)).encode()
    headers = [(b"content-type", reply.kind), (b"content-length", length), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
