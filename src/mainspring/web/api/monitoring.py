"""Monitoring: windows, drift and quality over time, alarms."""

from __future__ import annotations

from mainspring.ground.objects import Alarm, Window
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import AlarmId, ColumnName, EndpointName, Limit, Request
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


class ListAlarms(Request, frozen=True, kw_only=True):
    """Which alarms: of one endpoint or all, open, ended or both."""

    endpoint: EndpointName | None = None
    open: bool | None = None
    limit: Limit = 100


class OneAlarm(Request, frozen=True, kw_only=True):
    """Which alarm."""

    id: AlarmId


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


@operation("alarms.list", "GET", "/api/v1/alarms", Permission.READ, example={"open": True})
def list_alarms(ws: Workspace, request: ListAlarms) -> list[Alarm]:
    """List alarms, newest first."""
    from mainspring.workspace.views import monitoring

    return monitoring.alarm_list(ws, request.endpoint, open_only=request.open, limit=request.limit)


@operation("alarms.get", "GET", "/api/v1/alarms/{id}", Permission.READ)
def get_alarm(ws: Workspace, request: OneAlarm) -> Alarm:
    """Show one alarm with its evidence and how it ended."""
    from mainspring.workspace.views import monitoring

    return monitoring.alarm(ws, request.id)
