"""The page of how one endpoint serves: variants, latency and errors live, capture, what failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.ground.objects import Strategy
from mainspring.ground.permissions import Permission
from mainspring.web.pages import pulse
from mainspring.web.pages.rates import Serving, serving_of
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import EndpointBoard

_CHANGES = 8  #: of the number of workers, the newest


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A version's part in the traffic, and what it did since its process began."""

    version: int
    variant: str  #: champion, challenger, shadow, arm; blank: it served before
    share: float  #: of the rows it answers
    counts: dict[str, Any] = {}  #: requests, rows, errors, p50_ms...


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.logs.predictions import troubled
    from mainspring.workspace.views import rollouts
    from mainspring.workspace.views.endpoints import endpoint_board, host_account
    from mainspring.workspace.views.minutes import minutes_of

    board = endpoint_board(ws, asked["name"])
    serving = serving_of(board, ws.clock.now())
    known = minutes_of(ws, board.name)
    return {
        "board": board,
        "serving": serving,
        "pulse": pulse.pulse(known, board.routing.champion),
        "parts": parts(board, serving),
        "spans": list(pulse.SPANS),
        "troubled": troubled(ws, board.name),
        "slow_ms": ws.settings.log_slow_ms,
        "report": rollouts.report(ws, board.name),
        "reached": reached,
        "moves": moves(board),
        "before": _before(ws, board),
        "batching": board.serving.get("batching") or {},
        "changes": list(reversed(board.workers_changes))[:_CHANGES],
        "host": host_account(ws, board),
    }


def moves(board: EndpointBoard) -> str:
    """Return what of a running rollout a person may move: share, weights, or nothing."""
    now = board.rollout
    if now is None or now.purpose == "watch" or now.strategy is Strategy.SHADOW:
        return ""
    return "weights" if now.arms else "share"


def reached(wealth: float, needed: float) -> float:
    """Return how far evidence is on its way, 0 to 1, by its logarithm: it is multiplied up.

    >>> reached(1.0, 100.0), reached(10.0, 100.0), reached(1e9, 100.0), reached(0.0, 100.0)
    (0.0, 0.5, 1.0, 0.0)
    """
    if wealth <= 1.0 or needed <= 1.0:
        return 0.0
    return min(math.log(wealth) / math.log(needed), 1.0)


def _before(ws: Workspace, board: EndpointBoard) -> int | None:
    """Return the champion to which a roll-back would go, if there is one."""
    from mainspring.readiness import registry

    if board.routing.champion is None:
        return None
    return ws.read(Permission.READ, lambda tx: registry.previous_champion(tx, board.model))


def pulse_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return latency, errors and requests over time.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.scaling.serving import endpoints
    from mainspring.workspace.views.minutes import minutes_of

    ws.read(Permission.READ, lambda tx: endpoints.get(tx, asked["name"]))
    return pulse.draw(minutes_of(ws, asked["name"]), asked.get("span", ""))


def parts(board: EndpointBoard, serving: Serving) -> list[Part]:
    """Return every version that has a part in the traffic or had one, those that have first."""
    routing = board.routing
    counts = {int(key): one for key, one in serving.versions if key.isdecimal()}
    found: dict[int, tuple[str, float]] = {}
    if routing.champion is not None:
        theirs = _share(board)
        found[routing.champion] = ("champion", 1.0 - theirs)
        if routing.challenger is not None:
            shadow = routing.strategy is Strategy.SHADOW
            found[routing.challenger] = ("shadow" if shadow else "challenger", theirs)
    whole = sum(arm.weight for arm in routing.arms)
    for arm in routing.arms:
        part = "champion" if arm.version == routing.champion else "arm"
        found[arm.version] = (part, arm.weight / whole)
    for version in sorted(counts, reverse=True):
        found.setdefault(version, ("", 0.0))
    return [
        Part(version=version, variant=variant, share=share, counts=counts.get(version, {}))
        for version, (variant, share) in found.items()
    ]


def _share(board: EndpointBoard) -> float:
    """Return the share of the rows that the challenger answers."""
    strategy = board.routing.strategy
    if board.routing.challenger is None or strategy is Strategy.SHADOW:
        return 0.0
    return 1.0 if strategy is Strategy.BLUE_GREEN else board.routing.share
