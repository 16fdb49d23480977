"""Pass predictions on to the endpoints' own processes, over loopback only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError, DeadlineError, MainspringError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.permissions import Permission, authorise
from mainspring.scaling.serving.answers import server
from mainspring.scaling.serving.protocols import sagemaker
from mainspring.scaling.serving.protocols.repository import wants_ready
from mainspring.web.errors import Refusal
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, chunks, read_body
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.endpoint_http import address, down, elsewhere
from mainspring.workspace.views.endpoints import endpoint_boards
from mainspring.workspace.views.shapes import EndpointBoard

#: The name under which every endpoint is reached by SageMaker's clients, as TargetModel.
SHARED = "shared"
_INDEX_BYTES = 65_536
_TIMES = httpx.Timeout(60.0, connect=10.0)
_ROOM = httpx.Limits(max_connections=256, max_keepalive_connections=64)

#: Of one connection alone, or of this server alone.
_NOT_PASSED_ON = {
    b"connection",
    b"cookie",
    b"host",
    b"keep-alive",
    b"origin",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"x-mainspring-secret",
    b"x-request-id",  # said anew below; our own answer has it already
}


class Proxy:
    """The inference protocol and SageMaker's path on the main port."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads
        self._made: httpx.AsyncClient | None = None

    def routes(self) -> list[Route]:
        """Return the routes under /v2 and /endpoints."""
        model = "/v2/models/{name}"
        asked = [model, f"{model}/ready", f"{model}/versions/{{version}}"]
        asked += [f"{model}/versions/{{version}}/ready", f"{model}/versions/{{version}}/stats"]
        asked.append(f"{model}/stats")
        told = [f"{model}/infer", f"{model}/versions/{{version}}/infer"]
        kept = "/v2/repository/models/{name}"
        told += [f"{kept}/load", f"{kept}/unload"]
        return [
            Route("/v2", _Answers(self._server), methods=["GET"]),
            Route("/v2/health/live", _Answers(self._live), methods=["GET"]),
            Route("/v2/health/ready", _Answers(self._ready), methods=["GET"]),
            *(Route(path, _Passes(self), methods=["GET"]) for path in asked),
            *(Route(path, _Passes(self), methods=["POST"]) for path in told),
            Route("/v2/repository/index", _Index(self), methods=["POST"]),
            Route(
                "/endpoints/{name}/invocations", _Passes(self, "/invocations"), methods=["POST"]
            ),
        ]

    async def close(self) -> None:
        """End the connections to the endpoints."""
        if self._made is not None:
            await self._made.aclose()

    async def forward(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Send one request to the endpoint that its path names, and its answer back."""
        # The endpoint asks once more, for what this path needs there.
        authorise(scope["state"]["principal"], Permission.PREDICT)
        name = _name(scope)
        if name == SHARED and path == "/invocations":
            name = _target_model(scope)
        url = address(self._ws.home, name)
        if url is None:
            raise await self._absent(name)
        request = self._client().build_request(
            scope["method"],
            f"{url}{path}",
            headers=[
                *(pair for pair in scope["headers"] if pair[0] not in _NOT_PASSED_ON),
                (b"x-request-id", scope["state"]["request_id"].encode()),
            ],
            content=self._body(scope, receive) if scope["method"] == "POST" else None,
        )
        try:
            answer = await self._client().send(request, stream=True)
        except httpx.TimeoutException as error:
            raise DeadlineError(f"The endpoint {name} did not answer in time.") from error
        except httpx.TransportError as error:
            raise down(name) from error
        try:
            await _pass_back(answer, send)
        finally:
            await answer.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            # Never by a proxy of the machine's: these are two processes of ours.
            self._made = httpx.AsyncClient(trust_env=False, timeout=_TIMES, limits=_ROOM)
            # What the caller did not say, we do not say for it: it could not read gzip then.
            for header in ("accept", "accept-encoding", "user-agent"):
                self._made.headers.pop(header)
        return self._made

    def _body(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        return chunks(scope, receive, self._ws.settings.max_body_mb * 1_048_576)

    async def _absent(self, name: str) -> MainspringError:
        """Return what is wrong with an endpoint that has no process: not up, or not there."""

        def look() -> MainspringError:
            known = {board.name: board.state for board in endpoint_boards(self._ws)}
            if name in known:
                return elsewhere(name) if known[name] == "fed" else down(name)
            return NotFoundError(f"There is no endpoint {name}.", field="name")

        return await self._threads.run(look)

    async def _server(self) -> tuple[int, object]:
        return 200, server("mainspring")

    async def _live(self) -> tuple[int, object]:
        return 200, {"live": True}

    async def _ready(self) -> tuple[int, object]:
        boards = await self._threads.run(lambda: endpoint_boards(self._ws))
        ready = all(board.state != "down" for board in boards)
        return 200 if ready else 503, {"ready": ready}

    async def index(self, *, only_ready: bool) -> list[dict[str, str]]:
        """Return every endpoint as the inference protocol lists models, with its state."""
        boards = await self._threads.run(lambda: endpoint_boards(self._ws))
        told = [_listed(board) for board in boards if board.state != "fed"]
        return [one for one in told if one["state"] == "READY" or not only_ready]


def named_for_aws(error: Exception, found: Refusal) -> Refusal:  # noqa: ARG001
    """Return a refusal with the name that SageMaker's clients have for it."""
    name = sagemaker.name_of(found.status)
    return msgspec.structs.replace(
        found, headers=[*found.headers, (b"x-amzn-errortype", name.encode())]
    )


class _Passes:
    """Passes requests of one route on."""

    def __init__(self, proxy: Proxy, path: str | None = None) -> None:
        self._proxy = proxy
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = "/v2" if self._path is None else "/endpoints"
        path = self._path or scope.get("raw_path", b"").decode("ascii") or scope["path"]
        await self._proxy.forward(scope, receive, send, path.partition("?")[0])


_Source = Callable[[], Awaitable[tuple[int, object]]]


class _Answers:
    """Answers requests that concern the server, not one model."""

    def __init__(self, answer: _Source) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        authorise(scope["state"]["principal"], Permission.PREDICT)
        status, body = await self._answer()
        await send_bytes(send, msgspec.json.encode(body), "application/json", status)


class _Index:
    """Lists the models of the repository."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        authorise(scope["state"]["principal"], Permission.READ)
        only_ready = wants_ready(await read_body(scope, receive, _INDEX_BYTES))
        told = await self._proxy.index(only_ready=only_ready)
        await send_bytes(send, msgspec.json.encode(told), "application/json")


def _listed(board: EndpointBoard) -> dict[str, str]:
    version = board.routing.champion
    # One without a worker is ready as well: its next request starts one.
    ready = board.state == "idle" or bool(board.serving.get("ready"))
    reason = "" if ready else str(board.serving.get("trouble") or f"it is {board.state}")
    return {
        "name": board.name,
        "version": "" if version is None else str(version),
        "state": "READY" if ready else "UNAVAILABLE",
        "reason": reason,
    }


def _target_model(scope: Scope) -> str:
    """Return the endpoint that a request to all of them names.

    Raises:
        BadInputError: if it names none.
    """
    asked = dict(scope["headers"]).get(sagemaker.TARGET_MODEL)
    if asked is None:
        raise BadInputError(
            f"The endpoint {SHARED} is all of them: say which.",
            field="TargetModel",
            hint="TargetModel takes the name of an endpoint.",
        )
    return check_name(asked.decode("latin-1").removesuffix(".tar.gz"))


def _name(scope: Scope) -> str:
    name: str = scope["path_params"]["name"]
    return check_name(name)


async def _pass_back(answer: httpx.Response, send: Send) -> None:
    headers = [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower() not in _NOT_PASSED_ON
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    async for part in answer.aiter_raw():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
