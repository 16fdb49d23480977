"""Which pages there are, and how one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import ALLOWED, Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads
from mainspring.web.pages import (
    alarms,
    bias,
    board,
    card,
    cause,
    columns,
    compare,
    curves,
    data,
    decided,
    endpoint,
    evidenced,
    experiments,
    fields,
    fleet,
    home,
    lineage,
    logs,
    loop,
    model,
    overlay,
    owed,
    performance,
    pipelines,
    run,
    runs,
    serving,
    starts,
    touched,
)
from mainspring.web.pages.assets import Static
from mainspring.web.pages.fields import Asked
from mainspring.web.pages.files import File, StepLog
from mainspring.web.pages.headers import PAGE_HEADERS
from mainspring.web.pages.posted import act_routes
from mainspring.web.pages.reported import ReportFile
from mainspring.web.pages.session import OPEN_PATHS, Admit, session_routes
from mainspring.workspace.opening import Workspace

__all__ = ["OPEN_PATHS", "routes"]

#: A page of runs names its columns, a comparison its runs.
_MOST_FIELDS = 2000

Shown = dict[str, Any]
Gather = Callable[[Workspace, Asked], Shown]


def routes(ws: Workspace, admit: Admit, threads: Threads | None = None) -> list[BaseRoute]:
    """Return the routes of all pages; ``admit`` says whose a token is, as the front does."""
    line = threads or Threads()

    def page(path: str, template: str, gather: Gather, **figures: Gather) -> Route:
        return Route(path, Page(ws, line, path, template, gather, figures), methods=["GET"])

    return [
        page("/", "home.html", home.gather),
        page(
            "/loops/{name}",
            "loop.html",
            loop.gather,
            timeline=loop.timeline_figure,
            policies=loop.policies_figure,
            ages=loop.ages_figure,
        ),
        page(
            "/endpoints/{name}",
            "endpoint.html",
            endpoint.gather,
            drift=endpoint.drift_figure,
            traffic=endpoint.traffic_figure,
        ),
        *_serving(page),
        *_monitoring(page),
        Route("/endpoints/{name}/report", ReportFile(ws, line), methods=["GET"]),
        page("/runs", "runs.html", runs.gather),
        *act_routes(ws, line),
        page("/runs/{run}", "run.html", run.gather, metric=curves.of_run),
        Route("/runs/{run}/files/{path:path}", File(ws, line), methods=["GET"]),
        Route("/runs/{run}/steps/{step}/log", StepLog(ws, line), methods=["GET"]),
        page(
            "/compare",
            "compare.html",
            compare.gather,
            curves=overlay.figure,
            scatter=compare.scatter_figure,
        ),
        page("/pipelines", "pipelines.html", pipelines.gather_all),
        page("/pipelines/{name:path}", "pipeline.html", pipelines.gather),
        page("/lineage", "lineage.html", lineage.gather),
        page("/lineage/predictions", "touched.html", touched.gather),
        Route(touched.PATH, touched.PredictionsFile(ws, line), methods=["GET"]),
        page("/schedules", "starts.html", starts.gather),
        page("/experiments", "experiments.html", experiments.gather_all),
        page("/experiments/{experiment}", "experiment.html", experiments.gather),
        *_data(page),
        *_readiness(page),
        Route("/models/{model}/{number}/card/{form}", card.CardFile(ws, line), methods=["GET"]),
        *session_routes(ws, admit, line),
        Route("/static/{file}", Static(), methods=["GET"]),
    ]


def _data(page: Callable[..., Route]) -> list[Route]:
    """Return the routes of the pages of data."""
    return [
        page("/data", "data_list.html", data.gather_all),
        page("/data/{name}", "data.html", data.gather),
        page("/data/{name}/diff", "data_diff.html", data.gather_diff),
    ]


def _readiness(page: Callable[..., Route]) -> list[Route]:
    """Return the routes of the pages of readiness, decisions and debt."""
    return [
        page("/models", "models.html", model.gather_all),
        page("/models/{model}", "model.html", model.gather),
        page("/models/{model}/{number}/card", "card.html", card.gather),
        page("/evidence", "evidence_list.html", evidenced.gather_all),
        page("/evidence/{id}", "evidence.html", evidenced.gather),
        page("/decisions", "decisions.html", decided.gather),
        page("/debt", "debt.html", owed.gather, trend=owed.trend),
    ]


def _serving(page: Callable[..., Route]) -> list[Route]:
    """Return the routes of the pages of serving."""
    return [
        page("/endpoints", "endpoints.html", fleet.gather),
        page(
            "/endpoints/{name}/serving",
            "serving.html",
            serving.gather,
            pulse=serving.pulse_figure,
        ),
    ]


def _monitoring(page: Callable[..., Route]) -> list[Route]:
    """Return the routes of the pages of monitoring."""
    return [
        page("/monitoring", "board.html", board.gather),
        page(
            "/endpoints/{name}/drift",
            "drift.html",
            columns.gather,
            distances=columns.distances,
            distribution=columns.distribution,
            rates=columns.rates,
        ),
        page(
            "/endpoints/{name}/performance",
            "performance.html",
            performance.gather,
            metric=performance.metric_figure,
            coverage=performance.coverage_figure,
            reliability=performance.reliability_figure,
        ),
        page("/endpoints/{name}/bias", "bias.html", bias.gather, history=bias.history),
        page("/alarms", "alarm_list.html", alarms.gather),
        page("/alarms/{id}", "cause.html", cause.gather, series=cause.series),
        page("/logs", "logs.html", logs.gather),
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
        asked = fields.read(scope["query_string"], _MOST_FIELDS, scope["path_params"])
        body, media = await self._threads.run(lambda: self._make(scope, asked, who))
        tag = f'"{sha256(body).hexdigest()[:24]}"'.encode()
        headers = [*PAGE_HEADERS, (b"etag", tag)]
        if dict(scope["headers"]).get(b"if-none-match") == tag:
            await send_bytes(send, b"", media, 304, headers)
            return
        await send_bytes(send, body, media, headers=headers)

    def _make(self, scope: Scope, asked: Asked, who: Principal) -> tuple[bytes, str]:
        from mainspring.web.pages import render

        ws = self._ws.acting_as(who)
        named = asked.get("figure")
        if named is not None:
            if named not in self._figures:
                raise NotFoundError(f"This page has no figure {named[:80]!r}.", field="figure")
            return msgspec.json.encode(self._figures[named](ws, asked)), "application/json"
        shown = self._gather(ws, asked)
        signed = any(key == b"cookie" and b"mainspring_token=" in v for key, v in scope["headers"])
        part = asked.get("part") == "main"
        shown |= {
            "path": scope["path"],
            "who": who,
            "signed_in": signed,
            "part": part,
            "may_log": Permission.LOG in ALLOWED.get(who.role, frozenset()),
            "may_run": Permission.RUN in ALLOWED.get(who.role, frozenset()),
            "may_settle": Permission.PROMOTE in ALLOWED.get(who.role, frozenset()),
        }
        return render.page(self._template, shown, part=part), "text/html; charset=utf-8"
