"""The endpoints of a host: which models are in memory, loaded on demand and let go of by age."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from mainspring.ground.errors import NotFoundError, OverloadedError
from mainspring.ground.objects import EndpointLimits, Routing
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.library import Library, give_back
from mainspring.scaling.serving.protocols.calls import Call

TEND_S = 2.0  # memory is looked at this often, also where nothing is loaded
RETRY_S = 1.0  # a model that cannot be loaded is tried again this often
LOADERS = 8  # models that are loaded at a time; slow ones must not keep others from it

#: Makes the application of an endpoint: its name, what it should serve, what loads a package.
Make = Callable[[str, Callable[[], Routing], Callable[[str], Scorer]], EndpointApp]


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
        return [variant.served for variant in self.app.generations.current.loaded]


class Places:
    """The endpoints of one process, and what of their models is in memory.

    Bounded by ``most_models`` and ``most_bytes``: the endpoint that was asked the longest ago is
    let go of first, never one with a request under way. Belongs to one event loop.
    """

    def __init__(self, make: Make, library: Library, *, most_models: int, most_bytes: int) -> None:
        self.library = library
        self.evictions = 0
        self._trimmed = 0  # of them, those whose memory was given back
        self.most_models, self.most_bytes = most_models, most_bytes
        self.known: dict[str, Place] = {}
        self._make = make
        self._recent: OrderedDict[str, Place] = OrderedDict()  # awake, the longest ago first
        self._threads = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
        self._tending: asyncio.Task[None] | None = None
        self._routed = asyncio.Event()  # set, and replaced, when the routing was read

    # ------------------------------------------------------------ life

    def begin(self) -> None:
        """Look after what is in memory from now on."""
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        """Write out what was captured and counted of every endpoint."""
        if self._tending is not None:
            self._tending.cancel()
        loop = asyncio.get_running_loop()
        apps = [place.app for place in self.known.values() if place.app is not None]
        await asyncio.gather(*(loop.run_in_executor(self._threads, app.close) for app in apps))
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_S)
            self._shrink()
            if self.evictions != self._trimmed:
                self._trimmed = self.evictions
                self._threads.submit(give_back)

    def route(self, routings: Mapping[str, Routing]) -> None:
        """Take over what each endpoint should serve now; those not named are not served here."""
        for name in self.known.keys() - routings.keys():
            place = self.known.pop(name)
            self._recent.pop(name, None)
            if place.app is not None:
                asyncio.get_running_loop().run_in_executor(self._threads, place.app.close)
        for name, routing in routings.items():
            place = self.known.setdefault(name, Place(name, routing))
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

    def get(self, name: str) -> Place:
        """Return one endpoint.

        Raises:
            NotFoundError: if there is none by that name.
        """
        place = self.known.get(name)
        if place is None:
            raise NotFoundError(f"There is no endpoint {name[:128]!r} here.", field="name")
        return place

    def app(self, place: Place) -> EndpointApp:
        """Return the application of an endpoint, made when it is asked for the first time."""
        if place.app is None:
            app = self._make(
                place.name,
                lambda: place.routing,
                lambda digest: self.library.get(digest, lambda: place.limits),
            )
            app.generations.let_go(place.routing)

            async def wake(call: Call) -> None:
                if _needs_model(call):
                    await self.wake(place)

            async def let_go() -> None:
                self.let_go(place)

            app.wake, app.let_go = wake, let_go
            place.app = app
        return place.app

    async def wake(self, place: Place) -> None:
        """Have the model of an endpoint in memory, if it can be.

        Raises:
            OverloadedError: if it is not loaded in time, or too many wait for that already.
        """
        if place.awake:
            if place.name in self._recent:  # else it was loaded this moment, and comes there
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

    async def known_by(self, name: str, within_s: float) -> bool:
        """Wait until an endpoint is known; False if it was not in time."""
        try:
            async with asyncio.timeout(within_s):
                while name not in self.known:
                    await self._routed.wait()
        except TimeoutError:
            return False
        return True

    async def _load(self, place: Place) -> None:
        app, loop = self.app(place), asyncio.get_running_loop()
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
        while True:
            held = self.held()
            over = len(held) + more > self.most_models or sum(held.values()) > self.most_bytes
            idle = next((p for p in self._recent.values() if p.idle), None) if over else None
            # The last one stays, whatever it holds: without it nothing could be answered.
            if idle is None or (not more and len(self._recent) == 1):
                break
            self.let_go(idle)
            self.evictions += 1

    def held(self) -> dict[Scorer, int]:
        """Return the models in memory, each with the bytes it holds."""
        return {
            scorer: self.library.bytes_of(scorer)
            for place in self._recent.values()
            for scorer in place.scorers()
        }

    def let_go(self, place: Place) -> None:
        """Hold the model of an endpoint no longer, unless it is being loaded."""
        if place.app is not None and place.waking is None and place.following is None:
            self._recent.pop(place.name, None)
            place.app.generations.let_go(place.routing)


def _needs_model(call: Call) -> bool:
    """Return whether a request can only be answered with the model in memory."""
    if call.path.startswith("/v2/repository/"):
        return call.path.endswith("/load")
    if call.method == "POST":
        return True
    return call.path.startswith("/v2/models/") and not call.path.endswith(("/ready", "/stats"))
