"""Gather what is shown of endpoints: what they should serve, and how their process is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import msgspec

from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.scaling.serving import endpoints, index, rollouts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from mainspring.workspace.views import endpoint_http
from mainspring.workspace.views.shapes import CaptureUse, EndpointBoard


def endpoint_boards(ws: Workspace) -> list[EndpointBoard]:
    """Return every endpoint by name, each with its process's own account of itself."""

    def work(tx: Tx) -> list[EndpointBoard]:
        return [_board(tx, one.name) for one in endpoints.list_endpoints(tx)]

    return [_asked(ws, board) for board in ws.read(Permission.READ, work)]


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
    )


def endpoint_metrics(ws: Workspace) -> dict[str, str | None]:
    """Return what each endpoint's own process counts, in Prometheus's format; None if it is away.

    All are asked at once, so that one that does not answer costs no more than its time.
    """
    names = ws.read(Permission.READ, lambda tx: [e.name for e in endpoints.list_endpoints(tx)])
    with ThreadPoolExecutor(8, thread_name_prefix="endpoint-metrics") as pool:
        told = {}
        for name in names:
            url = endpoint_http.address(ws.home, name)
            if url is not None:
                context = copy_context()  # the caller's own word is shown to the endpoint
                told[name] = pool.submit(context.run, endpoint_http.metrics, ws, url)
    return {name: told[name].result() if name in told else None for name in names}


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


def _asked(ws: Workspace, board: EndpointBoard) -> EndpointBoard:
    board = msgspec.structs.replace(board, captures=capture_use(ws, board.name))
    url = endpoint_http.address(ws.home, board.name)
    if url is None:
        return board
    serving = endpoint_http.status(ws, url)
    if serving is None:
        return board
    return msgspec.structs.replace(board, state="up", url=url, serving=serving)
