"""Data versions, looked into: what differs between two, and what one holds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.data import DataRef
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.data.comparing import DataChanges
from mainspring.workspace.data.showing import Described
from mainspring.workspace.opening import Workspace

Column = Annotated[str, Meta(min_length=1, max_length=500)]


class DiffData(Request, frozen=True, kw_only=True):
    """Which two versions, and by which columns rows are the same row."""

    before: DataRef
    after: DataRef
    key: Annotated[
        list[Column], Meta(max_length=20, description="Columns by which rows are the same row.")
    ] = []
    files_only: Annotated[bool, Meta(description="Compare files alone; no table is read.")] = False


class OfVersion(Request, frozen=True, kw_only=True):
    """Which version."""

    version: DataRef


@operation(
    "contents.diff",
    "POST",
    "/api/v1/data-diff",
    Permission.READ,
    example={
        "before": "flights@1",
        "after": "flights@2",
        "key": ["day", "carrier"],
        "files_only": False,
    },
)
def diff(ws: Workspace, request: DiffData) -> DataChanges:
    """Say what differs between two versions: files, schema, rows, statistics, rows by key."""
    from mainspring.workspace.data import comparing

    # Versions alone: no one reads the server's own files by naming a path.
    sides = [comparing.version_side(ws, one) for one in (request.before, request.after)]
    return comparing.compare(
        ws, sides[0], sides[1], key=request.key, statistics=not request.files_only
    )


@operation("contents.show", "GET", "/api/v1/data-tables", Permission.READ)
def tables(ws: Workspace, request: OfVersion) -> Described:
    """Show the tables in a version, column by column, and the runs that read it."""
    from mainspring.workspace.data import showing

    return showing.describe(ws, request.version)
