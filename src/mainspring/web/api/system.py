"""The house: its status and its version."""

from __future__ import annotations

import msgspec

from mainspring.ground.permissions import Permission
from mainspring.ground.version import __version__
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import SystemStatus


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which Mainspring answers."""

    version: str


@operation("system.status", "GET", "/api/v1/status", Permission.READ)
def status(ws: Workspace) -> SystemStatus:
    """Show loops, endpoints, open alarms and runs at a glance."""
    from mainspring.workspace.views.house import system_status

    return system_status(ws, __version__)


@operation("system.version", "GET", "/api/v1/version", Permission.READ)
def version(ws: Workspace) -> VersionInfo:  # noqa: ARG001  every operation has the one shape
    """Say which Mainspring answers."""
    return VersionInfo(version=__version__)
