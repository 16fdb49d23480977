"""Reports: one window of an endpoint beside its baseline, column by column."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import EndpointName, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.reports.comparing import Beside

WindowId = Annotated[
    str, Meta(min_length=1, max_length=255, description="The window's id; the newest without it.")
]


class OfWindow(Request, frozen=True, kw_only=True):
    """Which window of which endpoint."""

    endpoint: EndpointName
    window: WindowId | None = None


class WindowReport(msgspec.Struct, frozen=True, kw_only=True):
    """A window beside its baseline, to be written in any form."""

    title: str
    verdict: str
    headline: str
    found: Beside


@operation("reports.window", "GET", "/api/v1/reports/{endpoint}/window", Permission.READ)
def window(ws: Workspace, request: OfWindow) -> WindowReport:
    """Show a window beside its baseline: every column's figures, distance and distribution."""
    from mainspring.workspace.reports.of_window import compare_window

    shown = compare_window(ws, request.endpoint, request.window)
    return WindowReport(
        title=shown.title, verdict=shown.verdict, headline=shown.headline, found=shown.found
    )
