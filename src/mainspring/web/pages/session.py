"""Sign in with a token, and out: the token stands in a cookie that no script can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError, UnauthenticatedError
from mainspring.ground.permissions import Principal
from mainspring.web.front import COOKIE, send_bytes
from mainspring.web.limits import Threads, read_body
from mainspring.web.pages.headers import PAGE_HEADERS
from mainspring.workspace.opening import Workspace

Admit = Callable[[Mapping[str, Any]], Principal]

#: To be reached without being known: the Host and Origin are checked all the same.
OPEN_PATHS = frozenset({"/login", "/logout"})

_MOST = 8192  # bytes of a form: a token and a path


def session_routes(ws: Workspace, admit: Admit, threads: Threads) -> list[BaseRoute]:
    """Return the routes to sign in and out."""
    return [
        Route("/login", Login(ws, admit, threads), methods=["GET", "POST"]),
        Route("/logout", Logout(), methods=["POST"]),
    ]


class Login:
    """Shows the form, and takes a token by it."""

    def __init__(self, ws: Workspace, admit: Admit, threads: Threads) -> None:
        self._ws = ws
        self._admit = admit
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = "/login"
        if scope["method"] != "POST":
            asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=5))
            await _form(send, way_back(asked.get("next", "/")), "")
            return
        given = _fields(await read_body(scope, receive, _MOST))
        back, token = way_back(given.get("next", "/")), given.get("token", "").strip()
        if not token or not token.isascii() or not token.isprintable() or set(token) & set('";, '):
            await _form(send, back, "That is not a token.", 400)
            return
        shown = [pair for pair in scope["headers"] if pair[0] in (b"host", b"origin")]
        shown.append((b"authorization", f"Bearer {token}".encode()))
        try:
            await self._threads.run(lambda: self._admit({**scope, "headers": shown}))
        except UnauthenticatedError as error:
            await _form(send, back, str(error), 401)
            return
        await _redirect(send, back, _cookie(token, scope))


class Logout:
    """Forgets the token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/logout"
        await _redirect(send, "/login", _cookie("", scope) + "; Max-Age=0")


def way_back(path: str) -> str:
    """Return a path of ours to go on to, and the home page for anything else.

    >>> way_back("/runs"), way_back("//elsewhere.example"), way_back("https://elsewhere.example")
    ('/runs', '/', '/')
    """
    sound = path.startswith("/") and path.isascii() and path.isprintable()
    return path if sound and not path.startswith(("//", "/\\")) and "\\" not in path else "/"


def _cookie(token: str, scope: Scope) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=10))
    except ValueError as error:
        raise BadInputError("The form cannot be read.", field="body") from error


async def _form(send: Send, back: str, trouble: str, status: int = 200) -> None:
    from mainspring.web.pages import render

    body = render.page("login.html", {"back": back, "trouble": trouble, **_NOBODY})
    await send_bytes(send, body, "text/html; charset=utf-8", status, [*PAGE_HEADERS])


_NOBODY: dict[str, Any] = {"path": "/login", "who": None, "signed_in": False}


async def _redirect(send: Send, to: str, cookie: str) -> None:
    headers = [
        *PAGE_HEADERS,
        (b"location", to.encode("ascii")),
        (b"set-cookie", cookie.encode("latin-1")),
    ]
    await send_bytes(send, b"", "text/plain; charset=utf-8", 303, headers)
