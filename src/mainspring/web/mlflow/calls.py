"""Turn an HTTP request into a call of a handler: admission, reading, answering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, read_body, read_json
from mainspring.web.mlflow.messages import Fields, from_query
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import catch_up

Handler = Callable[[Workspace, Fields], dict[str, Any]]


class Endpoint(msgspec.Struct, frozen=True):
    """One method and path below ``/api/2.0/mlflow``, what it needs and what answers it."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    most_bytes: int = 0  #: of a body, where MLflow says less than this server would take


class Door:
    """Answers requests for one endpoint."""

    def __init__(self, ws: Workspace, threads: Threads, endpoint: Endpoint) -> None:
        self._ws = ws
        self._threads = threads
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = f"/api/2.0/mlflow/{self._endpoint.path}"
        who: Principal = scope["state"]["principal"]
        authorise(who, self._endpoint.permission)  # before a stranger's megabytes are read
        body = b""
        if scope["method"] != "GET":
            body = await read_body(scope, receive, self._ws.settings.max_body_mb * 1_048_576)
            _check_type(scope, body)
        answer = await self._threads.run(lambda: self._work(scope, body, who))
        await send_bytes(send, answer, "application/json")

    def _work(self, scope: Scope, body: bytes, who: Principal) -> bytes:
        most = self._endpoint.most_bytes
        if most and len(body) > most:
            raise BadInputError(
                f"Batched logging API requests must be at most {most} bytes, got a request of"
                f" size {len(body)}.",
                field="body",
            )
        fields = read_json(body, self._ws.settings.max_depth)
        catch_up(self._ws)  # what scripts of this home logged is there by now
        if scope["method"] in ("GET", "DELETE"):
            fields = {**from_query(scope["query_string"]), **fields}
        fields |= scope["path_params"]
        found = self._endpoint.handler(self._ws.acting_as(who), Fields(fields))
        return msgspec.json.encode(found)


def _check_type(scope: Scope, body: bytes) -> None:
    headers = dict(scope["headers"])
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadInputError("The body must not be compressed.", field="Content-Encoding")
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media != b"application/json" and (body or scope["method"] == "POST"):
        raise BadInputError(
            f"Bad Request. Content-Type must be application/json, found"
            f" {media.decode('latin-1')[:80]!r}.",
            field="Content-Type",
        )
