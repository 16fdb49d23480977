"""Artifacts: list the files of a run, and read one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.experiments.artifacts import Artifact
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import OfRun, Request, RunId
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.artifacts import Content


class OneArtifact(Request, frozen=True, kw_only=True):
    """Which file of which run."""

    run: RunId
    path: Annotated[
        str, Meta(min_length=1, max_length=500, description="Such as mainspring/source.json.")
    ]


@operation("artifacts.list", "GET", "/api/v1/runs/{run}/artifacts", Permission.READ)
def list_artifacts(ws: Workspace, request: OfRun) -> list[Artifact]:
    """List every file of a run with its size and digest, by path."""
    from mainspring.workspace.views.artifacts import artifact_list

    return artifact_list(ws, request.run)


@operation("artifacts.get", "GET", "/api/v1/runs/{run}/artifact", Permission.READ)
def get_artifact(ws: Workspace, request: OneArtifact) -> Content:
    """Read one file of a run, of at most 64 MB, as base64."""
    from mainspring.workspace.views.artifacts import artifact_content

    return artifact_content(ws, request.run, request.path)
