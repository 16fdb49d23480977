"""The door through which other systems bring events: one path a webhook trigger.

Senders are no users of ours: they hold no token and show a trigger's secret instead, by
signing the body as GitHub does or as a bearer token. See ``workspace/events/verbs.py``.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, read_body, read_json
from mainspring.workspace.events import verbs
from mainspring.workspace.opening import Workspace

MOST_BYTES = 1_048_576
MOST_DEPTH = 32


def routes(ws: Workspace, threads: Threads) -> list[Route]:
    """Return the door's route."""
    return [Route("/api/v1/hooks/{name}", Hook(ws, threads), methods=["POST"])]


class Hook:
    """Takes events."""

    def __init__(self, ws: Workspace, threads: Threads) -> None:
        self._ws = ws
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one event: 202 if it is new, 200 if it was noted before."""
        scope["state"]["route"] = "/api/v1/hooks/{name}"
        body = await read_body(scope, receive, MOST_BYTES)
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        name = scope["path_params"]["name"]
        new = await self._threads.run(lambda: self._take(name, body, headers))
        answer = msgspec.json.encode({"new": new})
        await send_bytes(send, answer, "application/json", 202 if new else 200)

    def _take(self, name: str, body: bytes, headers: dict[str, str]) -> bool:
        by = verbs.sender(self._ws, name, body, headers)  # before a stranger's JSON is read
        return verbs.received(self._ws, by, read_json(body, MOST_DEPTH))
