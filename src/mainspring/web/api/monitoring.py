"""Monitoring: windows, drift and quality over time."""

from __future__ import annotations

from mainspring.ground.objects import Window
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import ColumnName, EndpointName, Limit, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import Series


class OfMonitor(Request, frozen=True, kw_only=True):
    """Which endpoint, and how many of its newest windows."""

    endpoint: EndpointName
    limit: Limit = 100


class Drift(Request, frozen=True, kw_only=True):
    """Which endpoint, and which column; all of them if none is named."""

    endpoint: EndpointName
    column: ColumnName | None = None
    limit: Limit = 100


@operation("monitor.windows", "GET", "/api/v1/monitor/{endpoint}/windows", Permission.READ)
def windows(ws: Workspace, request: OfMonitor) -> list[Window]:
    """List the judged windows of an endpoint's traffic, newest first."""
    from mainspring.workspace.views import monitoring

    return monitoring.window_list(ws, request.endpoint, request.limit)


@operation("monitor.drift", "GET", "/api/v1/monitor/{endpoint}/drift", Permission.READ)
def drift(ws: Workspace, request: Drift) -> list[Series]:
    """Show how far each column was from the baseline, window by window.

    Each point states the distance, the radius that chance reaches, and the smallest shift the
    window could have seen.
    """
    from mainspring.workspace.views import monitoring

    return monitoring.drift_series(ws, request.endpoint, request.column, request.limit)


@operation("monitor.quality", "GET", "/api/v1/monitor/{endpoint}/quality", Permission.READ)
def quality(ws: Workspace, request: OfMonitor) -> list[Series]:
    """Show how well the champion did, with intervals, in windows whose labels are mature."""
    from mainspring.workspace.views import monitoring

    return monitoring.quality_series(ws, request.endpoint, request.limit)
