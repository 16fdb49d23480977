"""Images: the folder that one is built from, as an archive."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

Reference = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=260,
        description="MODEL/NUMBER, or MODEL@ALIAS.",
        examples=["flights@champion"],
    ),
]
Base = Annotated[
    str,
    Meta(
        max_length=330,
        description="The image to build upon, by digest where another build must be the same.",
        examples=["docker.io/library/python:3.11-slim-bookworm"],
    ),
]
TAR = "application/x-tar"
GZIP = "application/gzip"


class OfImage(Request, frozen=True, kw_only=True):
    """Which version, and what its image stands on."""

    reference: Reference
    base: Base = ""


@operation(
    "images.model",
    "GET",
    "/api/v1/images/model",
    Permission.READ,
    media=TAR,
    example={"reference": "flights@champion", "base": ""},
)
def model(ws: Workspace, request: OfImage) -> bytes:
    """Write the folder that a version's image is built from, as a tar archive.

    The same version and base always give the same bytes.
    """
    from mainspring.workspace.packaging import folders, models

    version, files = models.folder_of(ws, request.reference, request.base or None)
    return folders.archive(files, version.created)


class OfArtifact(Request, frozen=True, kw_only=True):
    """Which version."""

    reference: Reference


@operation(
    "images.artifact",
    "GET",
    "/api/v1/images/artifact",
    Permission.READ,
    media=GZIP,
    example={"reference": "flights/7"},
)
def artifact(ws: Workspace, request: OfArtifact) -> bytes:
    """Write a version as a ``model.tar.gz``, for ``/opt/ml/model`` of such an image."""
    from mainspring.workspace.packaging import models

    return models.artifact_of(ws, request.reference)[1]


class OfProject(Request, frozen=True, kw_only=True):
    """Which pipeline of the project, and what its image stands on."""

    pipeline: Target
    base: Base = ""


@operation(
    "images.pipeline",
    "GET",
    "/api/v1/images/pipeline",
    Permission.RUN,
    media=TAR,
    example={"pipeline": "project:train", "base": ""},
)
def pipeline(ws: Workspace, request: OfProject) -> bytes:
    """Write the folder that an image of the project's pipeline is built from, as a tar archive."""
    from mainspring.workspace.packaging import folders, projects

    project = projects.folder_of(ws, request.pipeline, request.base or None)
    return folders.archive(project.files, project.created)
