"""The page of one loop: where it stands, its life as a chart, its decisions and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.web.pages import policies, quality, renewals, timeline
from mainspring.web.pages.home import windows_of
from mainspring.web.pages.subjects import rows
from mainspring.workspace.opening import Workspace

_WINDOWS = 200
_DECISIONS = 300
_DRAWN = 1000
_RENEWALS = 50


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what a loop's page shows.

    Raises:
        NotFoundError: if there is no such loop.
    """
    from mainspring.workspace.views.loops import loop_status
    from mainspring.workspace.views.loops import timeline as entries
    from mainspring.workspace.views.monitoring import alarm_list

    status = loop_status(ws, asked["name"])
    found = windows_of(ws, status.endpoint, _WINDOWS)
    alarms = alarm_list(ws, status.endpoint, limit=_DECISIONS)
    made = entries(ws, status.name, limit=_DECISIONS)
    aged = renewals.replayed(ws, status.name, status.model, "staleness")
    played = renewals.replayed(ws, status.name, status.model, "simulation")
    return {
        "status": status,
        "standing": quality.standing(found, status.champion),
        "metrics": [(name, quality.name_of(name)) for name in quality.metrics_of(found)],
        "entries": rows(made, status.model, alarms),
        "alarms": alarms[:100],
        "policy": policies.parts(status),
        "renewals": renewals.renewals([one.decision for one in made], status.model)[:_RENEWALS],
        "played": played,
        "contenders": renewals.policies_of(played),
        "aged": aged,
    }


def timeline_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart of a loop's life, in the metric asked for.

    Raises:
        NotFoundError: if there is no such loop.
    """
    from mainspring.workspace.views.loops import loop_status
    from mainspring.workspace.views.loops import timeline as entries
    from mainspring.workspace.views.monitoring import alarm_list

    status = loop_status(ws, asked["name"])
    found = windows_of(ws, status.endpoint, _WINDOWS)
    known = quality.metrics_of(found)
    metric = asked.get("metric", "")
    if metric not in known:
        metric = known[0] if known else "loss"
    decided = [entry.decision for entry in entries(ws, status.name, limit=_DRAWN)]
    return timeline.draw(found, decided, alarm_list(ws, status.endpoint, limit=200), metric)


def policies_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return how policies fared on the loop's history: quality against retrainings.

    Raises:
        NotFoundError: if there is no such loop.
    """
    name, model = _of(ws, asked["name"])
    return renewals.draw_policies(renewals.replayed(ws, name, model, "simulation"), name)


def ages_figure(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return how models age on the loop's history.

    Raises:
        NotFoundError: if there is no such loop.
    """
    name, model = _of(ws, asked["name"])
    return renewals.draw_ages(renewals.replayed(ws, name, model, "staleness"), name)


def _of(ws: Workspace, name: str) -> tuple[str, str]:
    from mainspring.engine import reactor
    from mainspring.ground.permissions import Permission

    spec = ws.read(Permission.READ, lambda tx: reactor.spec(tx, name))
    return spec.name, spec.model
