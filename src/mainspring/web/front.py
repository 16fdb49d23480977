"""What every request passes through, once: admission, headers, errors, counting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainspring.ground import logs
from mainspring.ground.permissions import Principal
from mainspring.ground.request_ids import RequestIds
from mainspring.web.errors import Headers, Refusal, refusal
from mainspring.web.limits import Threads
from mainspring.web.metrics import Requests
from mainspring.workspace.access import Gatekeeper
from mainspring.workspace.views.endpoint_http import CALLER

#: An answer that takes longer is worth a line in the log.
SLOW_S = 5.0
_log = logging.getLogger("mainspring.web")

#: A browser shows its token in this cookie (HttpOnly, SameSite=Strict, set by the pages).
COOKIE = "mainspring_token"

#: Told of without being asked who one is; the Host is checked all the same.
OPEN = frozenset({"/health", "/version"})

#: Below these too: files of ours, and hooks and callbacks, whose senders show what each of them
#: asks for.
OPEN_BELOW = ("/static/", "/api/v1/hooks/", "/api/v1/callbacks/")

#: Words a refusal anew for a wire with error forms of its own.
Reword = Callable[[Exception, Refusal], Refusal]

_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class Front:
    """The outermost ASGI app.

    1. The Host and Origin are checked and the request is admitted as a principal, or refused.
    2. The app answers; the principal stands in ``scope["state"]["principal"]``.
    3. An error that nobody answered becomes an answer by the one table of errors.
    4. Security headers that the app did not set itself are added, and the answer is counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        gatekeeper: Gatekeeper,
        requests: Requests,
        open_paths: frozenset[str] = frozenset(),
        wires: Mapping[str, Reword] | None = None,
    ) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._requests = requests
        self._open = OPEN | open_paths
        self._ids = RequestIds()
        self._wires = dict(wires or {})  # by the beginning of their paths
        # A line of its own: those who wait for an answer must not keep others from the door.
        self._threads = Threads(most=4, line=256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = _with_cookie(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = self._ids.of(dict(scope["headers"]))
        answer = _Answer(send, state["request_id"])
        began = time.perf_counter()
        with logs.about(request=state["request_id"]):
            try:
                scope["app"] = self  # so that Starlette raises its refusals, not words them
                await self._admit(scope)
                await self._app(scope, receive, answer.send)
            except Exception as error:
                found = self._reword(error, scope["path"])
                if answer.status is not None:
                    # Half an answer is out: cut the connection, so that nobody takes it for whole.
                    raise
                await answer.json(found.status, found.body, found.headers)
            finally:
                self._note(scope, answer.status or 499, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, spent: float) -> None:
        """Count one answer, and log it where it is worth a line."""
        route = scope["state"].get("route", "other")
        self._requests.note(route, scope["method"], status, spent)
        level = logging.WARNING if status >= 500 or spent > SLOW_S else logging.DEBUG
        # Of refusals of reads there are too many, by whoever tries paths.
        if 400 <= status < 499 and scope["method"] != "GET" and level < logging.INFO:
            level = logging.INFO
        if _log.isEnabledFor(level):
            who = scope["state"].get("principal")
            more = {
                "status": status,
                "ms": round(spent * 1000, 1),
                "who": None if who is None else who.name,
            }
            _log.log(level, "%s %s answered %d", scope["method"], route, status, extra=more)

    def _reword(self, error: Exception, path: str) -> Refusal:
        found = refusal(error, path)
        for begin, reword in self._wires.items():
            if path.startswith(begin):
                return reword(error, found)
        return found

    async def _admit(self, scope: Scope) -> None:
        if scope["path"] in self._open or scope["path"].startswith(OPEN_BELOW):
            self._gatekeeper.check_site(dict(scope["headers"]))
            return
        who: Principal = await self._threads.run(lambda: self._gatekeeper.admit(scope))
        scope["state"]["principal"] = who
        shown = dict(scope["headers"]).get(b"authorization")
        CALLER.set(None if shown is None else shown.decode("latin-1"))


class _Answer:
    """Adds our headers to an answer and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode()
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass on one message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name.lower() for name, _ in message.get("headers", [])}
            mine = (*_HEADERS, (b"x-request-id", self._id))
            ours = [pair for pair in mine if pair[0] not in there]
            message = {**message, "headers": [*message.get("headers", []), *ours]}
        await self._send(message)

    async def json(self, status: int, body: object, headers: Headers) -> None:
        """Send a whole answer in JSON."""
        await send_bytes(self.send, msgspec.json.encode(body), "application/json", status, headers)


async def send_bytes(
    send: Send, body: bytes, media: str, status: int = 200, headers: Headers | None = None
) -> None:
    """Send a whole answer."""
    head = [
        (b"content-type", media.encode()),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _with_cookie(scope: Scope) -> Scope:
    """Return the scope with a browser's cookie as its Authorization, unless it has one."""
    headers = dict(scope["headers"])
    if b"cookie" not in headers or b"authorization" in headers:
        return {**scope, "state": dict(scope.get("state") or {})}
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers[b"cookie"].decode("latin-1"))
    except CookieError:
        jar.clear()
    found = jar.get(COOKIE)
    extra = [] if found is None else [(b"authorization", f"Bearer {found.value}".encode())]
    return {
        **scope,
        "headers": [*scope["headers"], *extra],
        "state": dict(scope.get("state") or {}),
    }
