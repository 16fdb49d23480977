"""Monitoring: windows, drift and quality over time."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from mainspring.ground.objects import Window
from mainspring.ground.permissions import Permission
from mainspring.monitoring.explain import Telling
from mainspring.web.api.fields import ColumnName, EndpointName, Limit, Request
from mainspring.web.api.operations import operation
from mainspring.web.api.reports import WindowId
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.series_shapes import FindingSeries
from mainspring.workspace.views.shapes import Series


class OfMonitor(Request, frozen=True, kw_only=True):
    """Which endpoint, and how many of its newest windows."""

    endpoint: EndpointName
    limit: Limit = 100


class OneWindow(Request, frozen=True, kw_only=True):
    """Which window of which endpoint."""

    endpoint: EndpointName
    window: WindowId | None = None


class Drift(Request, frozen=True, kw_only=True):
    """Which endpoint, and which column; all of them if none is named."""

    endpoint: EndpointName
    column: ColumnName | None = None
    limit: Limit = 100


class SeriesOf(Request, frozen=True, kw_only=True):
    """Which endpoint, and which of its series; all of them if none is named."""

    endpoint: EndpointName
    monitor: (
        Annotated[str, Meta(max_length=64, description="Which monitor.", examples=["drift"])]
        | None
    ) = None
    subject: (
        Annotated[str, Meta(max_length=500, description="Which column, metric, facet or slice.")]
        | None
    ) = None
    since: (
        Annotated[
            str,
            Meta(
                max_length=64, description="Event time, or how long before the newest window: 7d."
            ),
        ]
        | None
    ) = None
    limit: Limit = 100


class Dashboard(Request, frozen=True, kw_only=True):
    """Which endpoint is shown first."""

    endpoint: EndpointName | None = None


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


@operation("monitor.explain", "GET", "/api/v1/monitor/{endpoint}/explain", Permission.READ)
def explain(ws: Workspace, request: OneWindow) -> Telling:
    """Say how well a window is told from its version's reference rows, and by which columns."""
    from mainspring.workspace.views.explaining import explain_window

    return explain_window(ws, request.endpoint, request.window)


@operation("monitor.series", "GET", "/api/v1/monitor/{endpoint}/series", Permission.READ)
def series(ws: Workspace, request: SeriesOf) -> list[FindingSeries]:
    """Show everything that monitors computed as series, by monitor and subject, oldest first."""
    from mainspring.workspace.views.series import finding_series

    return finding_series(
        ws,
        request.endpoint,
        monitor=request.monitor,
        subject=request.subject,
        since=request.since,
        limit=request.limit,
    )


@operation(
    "monitor.dashboard",
    "GET",
    "/api/v1/dashboards/grafana",
    Permission.READ,
    example={"endpoint": "flights"},
)
def dashboard(ws: Workspace, request: Dashboard) -> dict[str, Any]:  # noqa: ARG001
    """Write a Grafana dashboard of what /metrics tells: traffic, drift, performance, alarms."""
    from mainspring.web.dashboard import grafana

    return grafana(request.endpoint)
