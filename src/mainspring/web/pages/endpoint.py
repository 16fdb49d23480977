"""The page of one endpoint: who serves, how much, how fast, and what drifts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.web.pages import drift
from mainspring.web.pages.rates import serving_of
from mainspring.web.pages.watched import watched
from mainspring.workspace.opening import Workspace

_WINDOWS = 52  # a year of weeks


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what an endpoint's page shows.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.views.endpoints import endpoint_board
    from mainspring.workspace.views.monitoring import alarm_list

    board = endpoint_board(ws, asked["name"])
    seen = watched(ws, board.name, _WINDOWS)
    return {
        "board": board,
        "serving": serving_of(board, ws.clock.now()),
        "newest": seen.named(None),
        "heat": drift.heat(seen),
        "findings": drift.findings(seen),
        "alarms": [one for one in alarm_list(ws, board.name, limit=100) if one.outcome is None],
    }


def drift_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return how far one column was from the baseline, window by window.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    return drift.draw(watched(ws, asked["name"], _WINDOWS), asked.get("column", ""))


def traffic_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return how many rows each version answered, window by window.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    return drift.draw_traffic(watched(ws, asked["name"], _WINDOWS).windows)
