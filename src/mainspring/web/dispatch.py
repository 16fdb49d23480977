"""Make routes of the table of operations."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, Principal, authorise, service
from mainspring.web.api import Operation, every
from mainspring.web.api.openapi import BYTES
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, read_body, read_json, receive_file
from mainspring.workspace.opening import Workspace

_MOST_FIELDS = 100  # of a query string
_MOST_OF_STRANGERS = 2_097_152  # bytes of a body that was sent without a login


def routes(ws: Workspace, threads: Threads) -> list[Route]:
    """Return a route for each operation, and one for their description."""
    doors = [
        Route(one.path, Door(ws, threads, one), methods=[one.method]) for one in every().values()
    ]
    return [*doors, Route("/api/v1/openapi.json", Description(), methods=["GET"])]


class Door:
    """Answers requests for one operation."""

    def __init__(self, ws: Workspace, threads: Threads, operation: Operation) -> None:
        self._ws = ws
        self._threads = threads
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        wanted = self._operation
        scope["state"]["route"] = wanted.path
        who: Principal = service(wanted.by) if wanted.by else scope["state"]["principal"]
        authorise(who, wanted.permission)  # before a stranger's megabytes are read
        if wanted.takes_bytes:
            await self._take(scope, receive, send, who)
            return
        body = b""
        if wanted.has_body:
            most = _MOST_OF_STRANGERS if wanted.by else self._ws.settings.max_body_mb * 1_048_576
            body = await read_body(scope, receive, most)
            _check_type(scope, body)
        answer = await self._threads.run(lambda: self._work(scope, body, who))
        await send_bytes(send, answer, wanted.media)

    async def _take(self, scope: Scope, receive: Receive, send: Send, who: Principal) -> None:
        """Answer a request whose body is bytes: they go to a file, however many they are."""
        request = self._operation.read(self._texts(scope))
        ws = self._ws.acting_as(who)
        _check_bytes(scope, self._operation.accepts)
        with tempfile.TemporaryDirectory(dir=ws.home / "run", prefix="body.") as folder:
            file = Path(folder) / "bytes"
            await receive_file(file, scope, receive, self._operation.takes_bytes, self._threads)
            answer = await self._threads.run(lambda: self._operation.run(ws, request, file))
        await send_bytes(send, msgspec.json.encode(answer), self._operation.media)

    def _texts(self, scope: Scope) -> dict[str, Any]:
        return self._operation.from_texts({**_query(scope), **scope["path_params"]})

    def _work(self, scope: Scope, body: bytes, who: Principal) -> bytes:
        wanted = self._operation
        given: dict[str, Any] = read_json(body, self._ws.settings.max_depth)
        texts = _query(scope)
        if wanted.has_body and texts:
            raise BadInputError(
                f"{next(iter(texts))} stands in the query string; {wanted.method} takes JSON.",
                field=next(iter(texts)),
            )
        for key, text in scope["path_params"].items():
            if key in given and given[key] != text:
                raise BadInputError(f"{key} stands in the path already.", field=key)
            texts[key] = text
        request = wanted.read({**given, **wanted.from_texts(texts)})
        answer = wanted.run(self._ws.acting_as(who), request)
        if wanted.media != "application/json":
            return answer if isinstance(answer, bytes) else str(answer).encode()
        return msgspec.json.encode(answer)


class Description:
    """Answers with the description of the whole API."""

    def __init__(self) -> None:
        self._body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        from mainspring.web.api.openapi import document

        authorise(scope["state"]["principal"], Permission.READ)
        if self._body is None:
            self._body = msgspec.json.encode(document())
        await send_bytes(send, self._body, "application/json")


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise BadInputError("The query string cannot be read.", field="query") from error
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise BadInputError(f"{key[:80]} is given twice.", field=key[:80])
        found[key] = value
    return found


def _check_bytes(scope: Scope, accepts: tuple[str, ...]) -> None:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadInputError("The body must not be compressed.", field="Content-Encoding")
    media = headers.get(b"content-type", b"").decode("latin-1")
    if media != BYTES and media.partition(";")[0].strip().lower() not in accepts:
        raise BadInputError(
            f"The body must be bytes, found {media[:80]!r}.",
            field="Content-Type",
            hint=f"Send Content-Type: {', or '.join((BYTES, *accepts))}.",
        )


def _check_type(scope: Scope, body: bytes) -> None:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadInputError("The body must not be compressed.", field="Content-Encoding")
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if body and media != b"application/json":
        raise BadInputError(
            f"The body must be JSON, found {media.decode('latin-1')[:80]!r}.",
            field="Content-Type",
            hint="Send Content-Type: application/json.",
        )
