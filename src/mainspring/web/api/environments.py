"""Environments: those that were built, and what the steps of a run were planned for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Nothing, OfRun, Request
from mainspring.web.api.operations import operation
from mainspring.workspace import environments
from mainspring.workspace.opening import Workspace


class OfDigest(Request, frozen=True, kw_only=True):
    """Which environment."""

    digest: Annotated[
        str, Meta(min_length=6, max_length=64, description="The digest's first characters.")
    ]


@operation("environments.list", "GET", "/api/v1/environments", Permission.READ)
def listed(ws: Workspace, request: Nothing) -> list[environments.Environment]:  # noqa: ARG001
    """List the environments in the home's cache, the one used last first."""
    return environments.listed(ws)


@operation("environments.of_run", "GET", "/api/v1/runs/{run}/environments", Permission.READ)
def of_run(ws: Workspace, request: OfRun) -> list[environments.OfRun]:
    """Show what the steps of a run were planned for, and what it can be built of."""
    return environments.of_run(ws, request.run)


@operation(
    "environments.build",
    "POST",
    "/api/v1/runs/{run}/environments",
    Permission.RUN,
    example={"run": "run_01jz"},
)
def build(ws: Workspace, request: OfRun) -> list[environments.Environment]:
    """Build the environments of a run's steps, unless they are there; it may take minutes."""
    return environments.build(ws, request.run)


@operation(
    "environments.remove",
    "DELETE",
    "/api/v1/environments/{digest}",
    Permission.RUN,
    example={"digest": "3f9a17"},
)
def remove(ws: Workspace, request: OfDigest) -> list[str]:
    """Delete environments whose digest begins so; return the digests of those that went."""
    return environments.remove(ws, request.digest)
