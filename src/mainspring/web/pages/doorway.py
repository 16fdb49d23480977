"""Show a refusal to a person: a page instead of JSON, the sign-in page instead of a 401."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainspring.web.front import send_bytes
from mainspring.web.pages.headers import PAGE_HEADERS

#: Machines talk here: they get what the table of errors says, as JSON.
_MACHINES = ("/api/", "/v2", "/static/", "/metrics", "/health", "/version")
_KEPT = {b"x-request-id", b"retry-after"}


class Doorway:
    """Stands before the front and rewords the refusals that a browser would show.

    Only answers to those who ask for HTML are touched, and of those only errors in JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _for_a_person(scope):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_refusal(message):
                held.append(message)
            elif not held:
                await send(message)
            else:
                held.append(message)
                if not message.get("more_body", False):
                    await _reword(scope, held, send)

        await self._app(scope, receive, watch)


def _for_a_person(scope: Scope) -> bool:
    accept = dict(scope["headers"]).get(b"accept", b"")
    asks = scope["method"] in ("GET", "POST") and b"text/html" in accept
    return asks and not scope["path"].startswith(_MACHINES)


def _is_refusal(start: Message) -> bool:
    media = dict(start.get("headers", [])).get(b"content-type", b"")
    return bool(start["status"] >= 400 and media.startswith(b"application/json"))


async def _reword(scope: Scope, held: list[Message], send: Send) -> None:
    from mainspring.web.pages import render

    status = held[0]["status"]
    kept = [pair for pair in held[0]["headers"] if pair[0] in _KEPT]
    headers = [*PAGE_HEADERS, (b"cache-control", b"no-store"), *kept]
    told: dict[str, Any] = msgspec.json.decode(b"".join(m.get("body", b"") for m in held[1:]))
    if status == 401 and "owner" not in str(told.get("message")):  # a token would open
        # A form is sent again by its reader, not by the way back.
        there = quote(scope["path"], safe="/") if scope["method"] == "GET" else "/"
        headers.append((b"location", f"/login?next={quote(there, safe='')}".encode()))
        await send_bytes(send, b"", "text/plain; charset=utf-8", 303, headers)
        return
    shown = {"status": status, "told": told, "path": scope["path"]}
    body = render.page("error.html", {**shown, "who": None, "signed_in": False})
    await send_bytes(send, body, "text/html; charset=utf-8", status, headers)
