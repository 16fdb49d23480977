"""Gather what is shown of endpoints: what they should serve, and how their process is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

import msgspec

from mainspring.ground.exposition import Family, gauge, read
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.scaling.serving import endpoints, index, rollouts
from mainspring.workspace import joined
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from mainspring.workspace.views import endpoint_http
from mainspring.workspace.views.shapes import (
    CaptureUse,
    EndpointBoard,
    EndpointWorker,
    WorkersChange,
)


def endpoint_boards(ws: Workspace) -> list[EndpointBoard]:
    """Return every endpoint by name, each with its process's own account of itself."""

    def work(tx: Tx) -> list[EndpointBoard]:
        return [_board(tx, one.name) for one in endpoints.list_endpoints(tx)]

    boards = ws.read(Permission.READ, work)
    urls = [str(found["url"]) for b in boards if (found := endpoint_http.told(ws.home, b.name))]
    hosts = {base for url in urls if (base := endpoint_http.host_of(url)) is not None}
    hosted: dict[str, dict[str, Any]] = {}
    for base in hosts:
        hosted |= endpoint_http.hosted(ws, base)
    return [_asked(ws, board, hosted) for board in boards]


def endpoint_names(tx: Tx) -> list[str]:
    """Return what is served or watched, by name: feeds have windows and no endpoint."""
    served = {one.name for one in endpoints.list_endpoints(tx)}
    return sorted(served | set(windows.watched(tx)))


def endpoint_board(ws: Workspace, name: str) -> EndpointBoard:
    """Return one endpoint; ``state`` is down if its process does not answer at once.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    return _asked(ws, ws.read(Permission.READ, lambda tx: _board(tx, name)))


def capture_use(ws: Workspace, name: str) -> CaptureUse:
    """Return what an endpoint's captured traffic takes, and what its budget cost it so far."""
    found = index.use(ws.captures(name))
    return CaptureUse(
        bytes=found.bytes,
        budget_bytes=ws.settings.capture_budget_mb * 1024 * 1024,
        dropped_rows=found.dropped_rows,
        dropped_bytes=found.dropped_bytes,
        damaged_rows=found.damaged_rows,
    )


def endpoint_metrics(ws: Workspace) -> dict[str, list[Family] | None]:
    """Return what each endpoint's processes count together; None if they are away.

    All are asked at once, so that one that does not answer costs no more than its time.
    """
    names = ws.read(Permission.READ, lambda tx: [e.name for e in endpoints.list_endpoints(tx)])
    with ThreadPoolExecutor(8, thread_name_prefix="endpoint-metrics") as pool:
        asked = {
            name: [
                pool.submit(copy_context().run, endpoint_http.metrics, ws, url)
                for url in _urls(ws, name)
            ]
            for name in names
        }
        texts = {name: [one.result() for one in of] for name, of in asked.items()}
    return {name: _counted(ws, name, texts[name]) for name in names}


def host_metrics(ws: Workspace) -> list[Family]:
    """Return what the shared host counts beside its endpoints; nothing where there is none."""
    names = ws.read(Permission.READ, lambda tx: [e.name for e in endpoints.list_endpoints(tx)])
    found = {endpoint_http.host_of(url) for name in names for url in _urls(ws, name)}
    texts = [endpoint_http.metrics(ws, base) for base in sorted(filter(None, found))]
    return [family for text in texts if text for family in read(text)]


def host_account(ws: Workspace, board: EndpointBoard) -> dict[str, Any] | None:
    """Return how the shared host is that serves an endpoint: its models, its memory, its loads.

    None where the endpoint has processes of its own, or the host does not answer.
    """
    base = None if board.url is None else endpoint_http.host_of(board.url)
    return None if base is None else endpoint_http.status(ws, base) or None


def _urls(ws: Workspace, name: str) -> list[str]:
    """Return where each process of an endpoint is asked alone."""
    found = endpoint_http.told(ws.home, name)
    if found is None:
        return []
    if "wanted" not in found:  # it has one process, of its own or with others
        return [str(found["url"])]
    return [str(one["url"]) for one in endpoint_http.workers(ws.home, name)]


def _counted(ws: Workspace, name: str, texts: Sequence[str | None]) -> list[Family] | None:
    found = endpoint_http.told(ws.home, name)
    there = [text for text in texts if text]
    if found is None or (not there and found.get("wanted") != 0):
        return None
    before = str(endpoint_http.departed(ws.home, name).get("metrics") or "")
    families = joined.metrics([text for text in (before, *there) if text])
    if "wanted" not in found:
        return families
    of = {"endpoint": name}
    return [
        *families,
        gauge("mainspring_workers", "Worker processes that answer.", [(of, len(there))]),
        gauge(
            "mainspring_workers_wanted",
            "Worker processes that the load asks for.",
            [(of, float(found["wanted"]))],
        ),
    ]


def _board(tx: Tx, name: str) -> EndpointBoard:
    endpoint = endpoints.get(tx, name)
    return EndpointBoard(
        name=name,
        model=endpoint.model,
        loop=endpoint.loop,
        created=endpoint.created,
        state="fed" if endpoint.kind == "fed" else "down",
        url=None,
        routing=routing(tx, name),
        rollout=rollouts.running(tx, name),
        open_alarms=len(alarms.open_alarms(tx, name)),
    )


def _asked(
    ws: Workspace, board: EndpointBoard, hosted: Mapping[str, dict[str, Any]] | None = None
) -> EndpointBoard:
    """Return a board with its process's account; ``hosted`` are those known already."""
    board = msgspec.structs.replace(board, captures=capture_use(ws, board.name))
    found = endpoint_http.told(ws.home, board.name)
    if found is None:
        return board
    if "wanted" not in found:
        url = str(found["url"])
        known = (hosted or {}).get(board.name) if endpoint_http.host_of(url) else None
        serving = known or endpoint_http.status(ws, url)
        if serving is None:
            return board
        return msgspec.structs.replace(board, state="up", url=url, serving=serving)
    return _with_workers(ws, board, found)


def _with_workers(ws: Workspace, board: EndpointBoard, told: dict[str, Any]) -> EndpointBoard:
    """Return the board of an endpoint that has workers, none to many."""
    found = endpoint_http.workers(ws.home, board.name)
    if len(found) > 1:
        with ThreadPoolExecutor(len(found), thread_name_prefix="endpoint-status") as pool:
            asked = [
                pool.submit(copy_context().run, endpoint_http.status, ws, str(one["url"]))
                for one in found
            ]
            answers = [one.result() for one in asked]
    else:
        answers = [endpoint_http.status(ws, str(one["url"])) for one in found]
    there = [(one, said) for one, said in zip(found, answers, strict=True) if said is not None]
    before = endpoint_http.departed(ws.home, board.name).get("status") or {}
    state: Literal["up", "idle", "down"] = "idle" if told["wanted"] == 0 else "down"
    return msgspec.structs.replace(
        board,
        state="up" if there else state,
        url=told["url"],
        serving=joined.statuses([said for _, said in there] + [before]) if there else {},
        workers=[_worker(one, said) for one, said in there],
        workers_wanted=told["wanted"],
        workers_changes=msgspec.convert(told.get("changes", []), list[WorkersChange]),
    )


def _worker(told: dict[str, Any], said: dict[str, Any]) -> EndpointWorker:
    lately = said.get("worker") or {}
    return EndpointWorker(
        pid=told["pid"],
        started=told["started"],
        url=told["url"],
        requests=said.get("requests", 0),
        in_flight=max(said.get("in_flight", 0) - 1, 0),  # without the one that asked
        connections=lately.get("open", 0),
        rss_mb=lately.get("rss_mb"),
        cpu=lately.get("cpu"),
        lag_ms=lately.get("lag_ms"),
    )
