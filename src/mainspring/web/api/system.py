"""The house: its status and its version."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.ground.version import __version__
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.keeping.collecting import Collected
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import SystemStatus


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which Mainspring answers."""

    version: str


class Collect(Request, frozen=True, kw_only=True):
    """How long a run must have been deleted, and whether only to look."""

    older_than_s: Annotated[
        float, Meta(ge=0, le=1e10, description="Seconds since a run was deleted.")
    ] = 604_800.0
    dry_run: bool = False


@operation("system.status", "GET", "/api/v1/status", Permission.READ)
def status(ws: Workspace) -> SystemStatus:
    """Show loops, endpoints, open alarms and runs at a glance."""
    from mainspring.workspace.views.house import system_status

    return system_status(ws, __version__)


@operation("system.version", "GET", "/api/v1/version", Permission.READ)
def version(ws: Workspace) -> VersionInfo:  # noqa: ARG001  every operation has the one shape
    """Say which Mainspring answers."""
    return VersionInfo(version=__version__)


@operation("system.gc", "POST", "/api/v1/gc", Permission.ADMIN, example={"older_than_s": 604800})
def gc(ws: Workspace, request: Collect) -> Collected:
    """Take out runs that were deleted, and reclaim the space of objects nothing needs."""
    from mainspring.workspace.keeping.collecting import collect

    return collect(ws, older_than_s=request.older_than_s, dry_run=request.dry_run)
