"""The monitor board: every endpoint in one table, so that what is not well is seen at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from markupsafe import Markup

from mainspring.ground.objects import Finding
from mainspring.web.pages import drift, quality, sparks, watched, words
from mainspring.web.pages.performance import Maturity, maturity
from mainspring.web.pages.quality import Standing
from mainspring.web.pages.rates import Serving, serving_of
from mainspring.web.pages.watched import Watched
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import EndpointBoard

_WINDOWS = 26  # of the small curve
_DISTANT_S = 40 * 86_400.0  # beyond it a replay of old data is likelier than silence


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint on the board."""

    board: EndpointBoard
    serving: Serving
    spark: Markup | None  #: rows by window
    worst: Finding | None  #: the column furthest beyond what matters, newest window
    bar: float  #: how far, 0 to 1, where 0.5 is what matters
    moved: int  #: columns that alarm in the newest window
    standing: Standing
    maturity: Maturity
    newest: str  #: how old the newest row is, in words
    trained: str  #: how old what the champion learnt is, in words
    judged: float | None  #: end of the newest window


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return what the board shows: endpoints with open alarms first."""
    from mainspring.workspace.views import house
    from mainspring.workspace.views.endpoints import endpoint_boards

    lines = [_line(ws, board) for board in endpoint_boards(ws)]
    lines.sort(key=lambda one: (-one.board.open_alarms, one.board.name))
    return {"lines": lines, "engine": house.engine_state(ws)}


def _line(ws: Workspace, board: EndpointBoard) -> Line:
    now = ws.clock.now()
    seen = watched.watched(ws, board.name, _WINDOWS)
    newest = seen.named(None)
    moved = [one for one in seen.of(newest) if one.monitor in drift.MONITORS]
    ranked = sorted(moved, key=lambda one: (one.verdict != "alarm", -(watched.reach(one) or 0.0)))
    worst = ranked[0] if ranked else None
    far = 0.0 if worst is None else watched.reach(worst) or 0.0
    at, trained = _times(ws, board)
    return Line(
        board=board,
        serving=serving_of(board, now),
        spark=_spark(seen),
        worst=worst,
        bar=min(far / 2, 1.0),
        moved=sum(1 for one in moved if one.verdict == "alarm"),
        standing=quality.standing(seen.windows, board.routing.champion),
        maturity=maturity(seen),
        newest=_ago(at, now),
        trained=_behind(trained, at),
        judged=None if newest is None else newest.end,
    )


def _spark(seen: Watched) -> Markup | None:
    return sparks.curve([float(one.rows) for one in seen.oldest_first])


def _times(ws: Workspace, board: EndpointBoard) -> tuple[float | None, float | None]:
    """Return the event time of the newest row, and up to when the champion learnt."""
    from mainspring.ground.permissions import Permission
    from mainspring.readiness import registry
    from mainspring.scaling.serving import capture

    newest = capture.watermark(ws.captures(board.name))
    number = board.routing.champion
    if number is None:
        return newest, None
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, board.model, number))
    return newest, version.trained_until


def _ago(at: float | None, now: float) -> str:
    """Return how old the newest row is; of old data, its day."""
    if at is None:
        return "no row yet"
    if now - at > _DISTANT_S or at - now > _DISTANT_S:
        return words.day(at)
    if now - at < 60:
        return "under a minute ago"
    return f"{words.minutes(now - at)} ago"


def _behind(trained: float | None, newest: float | None) -> str:
    """Return how much newer the traffic is than what the champion learnt."""
    if trained is None:
        return ""
    if newest is None or newest <= trained:
        return f"learnt until {words.day(trained)}"
    return f"learnt until {words.lasting(newest - trained)} before"
