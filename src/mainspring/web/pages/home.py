"""The home page: every loop as a card, every endpoint, the newest runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.ground.objects import Window
from mainspring.web.pages import quality, sparks
from mainspring.web.pages.rates import serving_of
from mainspring.web.pages.subjects import newest, subject
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import LoopStatus

_WINDOWS = 40  # in a card's small curve
_RUNS = 8
_LOOKED_AT = 60  # decisions, for one that is more than a dismissal


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return what the home page shows."""
    from mainspring.workspace.views import house
    from mainspring.workspace.views.endpoints import endpoint_boards
    from mainspring.workspace.views.loops import loop_statuses
    from mainspring.workspace.views.searching import run_page

    return {
        "loops": [_card(ws, status) for status in loop_statuses(ws)],
        "endpoints": [(b, serving_of(b, ws.clock.now())) for b in endpoint_boards(ws)],
        "runs": run_page(ws, limit=_RUNS).runs,
        "engine": house.engine_state(ws),
        "troubles": house.engine_troubles(ws),
    }


def _card(ws: Workspace, status: LoopStatus) -> dict[str, Any]:
    from mainspring.workspace.views.loops import timeline

    found = windows_of(ws, status.endpoint, _WINDOWS)
    last = newest(timeline(ws, status.name, limit=_LOOKED_AT))
    return {
        "status": status,
        "standing": quality.standing(found, status.champion),
        "spark": sparks.curve([p.value for p in quality.points(found, "loss")]),
        "decision": last,
        "subject": subject(last, status.model) if last else "",
    }


def windows_of(ws: Workspace, endpoint: str, limit: int) -> Sequence[Window]:
    """Return the newest windows of an endpoint; none while it is not there yet."""
    from mainspring.ground.errors import NotFoundError
    from mainspring.workspace.views.monitoring import window_list

    try:
        return window_list(ws, endpoint, limit)
    except NotFoundError:  # a loop makes its endpoint with its first version
        return []
