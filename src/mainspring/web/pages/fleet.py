"""The board of endpoints: who serves what, to how many, how fast, and what is not well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.web.pages.pulse import Pulse, pulse
from mainspring.web.pages.rates import Serving, serving_of
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import EndpointBoard

_BAD = 0.01  #: share of failed requests from which on an endpoint stands above the others


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint on the board."""

    board: EndpointBoard
    serving: Serving
    pulse: Pulse

    @property
    def lost(self) -> float | None:
        """Return the share of rows that could not be captured."""
        if not self.serving.dropped:
            return None
        return self.serving.dropped / ((self.serving.written or 0) + self.serving.dropped)

    @property
    def trouble(self) -> tuple[bool, bool, str]:
        """Return by what endpoints are ordered: those that are not well come first."""
        down = self.board.state == "down" and self.board.routing.champion is not None
        bad = (self.pulse.errors or 0.0) >= _BAD or bool(self.serving.trouble)
        return not down, not bad, self.board.name


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return what the board shows."""
    from mainspring.workspace.views.endpoints import endpoint_boards

    lines = [_line(ws, board) for board in endpoint_boards(ws)]
    return {"lines": sorted(lines, key=lambda one: one.trouble)}


def _line(ws: Workspace, board: EndpointBoard) -> Line:
    from mainspring.workspace.views.minutes import minutes_of

    return Line(
        board=board,
        serving=serving_of(board, ws.clock.now()),
        pulse=pulse(minutes_of(ws, board.name), board.routing.champion),
    )
