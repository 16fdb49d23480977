"""Which pages there are, and how one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.pages import endpoint, home, loop, model, run
from mainspring.web.pages.assets import Static
from mainspring.web.pages.headers import PAGE_HEADERS
from mainspring.web.pages.session import OPEN_PATHS, Admit, session_routes
from mainspring.workspace.opening import Workspace

__all__ = ["OPEN_PATHS", "routes"]

Shown = dict[str, Any]
Gather = Callable[[Workspace, Mapping[str, str]], Shown]


def routes(ws: Workspace, admit: Admit, threads: Threads | None = None) -> list[BaseRoute]:
    """Return the routes of all pages; ``admit`` says whose a token is, as the front does."""
    line = threads or Threads()

    def page(path: str, template: str, gather: Gather, **figures: Gather) -> Route:
        return Route(path, Page(ws, line, path, template, gather, figures), methods=["GET"])

    return [
        page("/", "home.html", home.gather),
        page("/loops/{name}", "loop.html", loop.gather, timeline=loop.timeline_figure),
        page(
            "/endpoints/{name}",
            "endpoint.html",
            endpoint.gather,
            drift=endpoint.drift_figure,
            traffic=endpoint.traffic_figure,
        ),
        page("/runs", "runs.html", run.gather_all),
        page("/runs/{run}", "run.html", run.gather, metric=run.metric_figure),
        page("/models", "models.html", model.gather_all),
        page("/models/{model}", "model.html", model.gather),
        *session_routes(ws, admit, line),
        Route("/static/{file}", Static(), methods=["GET"]),
    ]


class Page:
    """Answers with a page; with ``?part=main`` what changes of it; with ``?figure=`` a chart.

    An answer carries a digest of its content; who shows it again is told that nothing changed.
    """

    def __init__(
        self,
        ws: Workspace,
        threads: Threads,
        path: str,
        template: str,
        gather: Gather,
        figures: Mapping[str, Gather],
    ) -> None:
        self._ws = ws
        self._threads = threads
        self._path = path
        self._template = template
        self._gather = gather
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = self._path
        who: Principal = scope["state"]["principal"]
        authorise(who, Permission.READ)
        asked = {**_query(scope), **scope["path_params"]}
        body, media = await self._threads.run(lambda: self._make(scope, asked, who))
        tag = f'"{sha256(body).hexdigest()[:24]}"'.encode()
        headers = [*PAGE_HEADERS, (b"etag", tag)]
        if dict(scope["headers"]).get(b"if-none-match") == tag:
            await send_bytes(send, b"", media, 304, headers)
            return
        await send_bytes(send, body, media, headers=headers)

    def _make(self, scope: Scope, asked: dict[str, str], who: Principal) -> tuple[bytes, str]:
        from mainspring.web.pages import render

        ws = self._ws.acting_as(who)
        named = asked.get("figure")
        if named is not None:
            if named not in self._figures:
                raise NotFoundError(f"This page has no figure {named[:80]!r}.", field="figure")
            return msgspec.json.encode(self._figures[named](ws, asked)), "application/json"
        shown = self._gather(ws, asked)
        signed = any(key == b"cookie" and b"mainspring_token=" in v for key, v in scope["headers"])
        shown |= {"path": scope["path"], "who": who, "signed_in": signed}
        part = asked.get("part") == "main"
        return render.page(self._template, shown, part=part), "text/html; charset=utf-8"


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"), errors="strict", max_num_fields=20
        )
    except ValueError as error:
        raise BadInputError("The query string cannot be read.", field="query") from error
    return dict(pairs)
