"""Images: the folder that one is built from, as an archive."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Nothing, Request, Target
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.packaging.signed import Envelope, PublicKey

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


class OfAttestation(Request, frozen=True, kw_only=True):
    """A build folder whose files are to be signed, and what it was asked for as."""

    reference: Annotated[
        str,
        Meta(
            max_length=260,
            description="MODEL/NUMBER or MODEL@ALIAS; empty where it is of a pipeline.",
            examples=["flights/7"],
        ),
    ] = ""
    pipeline: Annotated[
        str,
        Meta(
            max_length=500,
            description="The pipeline; empty where it is of a version.",
            examples=["project:train"],
        ),
    ] = ""
    base: Base = ""
    files: Annotated[
        dict[str, str],
        Meta(
            max_length=100_000,
            description="The SHA-256 of each file, by its path.",
            examples=[{"requirements.txt": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"}],
        ),
    ]
    requirements: Annotated[
        str,
        Meta(
            max_length=10_000_000,
            description="The text of requirements.txt, with the hashes that were put in.",
            examples=["numpy==2.4.1\n"],
        ),
    ]


@operation(
    "images.attest",
    "POST",
    "/api/v1/images/attestations",
    Permission.RUN,
    example={
        "reference": "flights/7",
        "pipeline": "",
        "base": "",
        "files": {"requirements.txt": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"},
        "requirements": "numpy==2.4.1\n",
    },
)
def attest(ws: Workspace, request: OfAttestation) -> Envelope:
    """Sign a build folder that is what this home would write: SLSA provenance, in DSSE.

    Files that nobody could have made of the version or pipeline are refused.
    """
    from mainspring.workspace.packaging import attesting

    if bool(request.reference) == bool(request.pipeline):
        raise BadInputError("Name a reference or a pipeline, one of them.", field="reference")
    kind = "reference" if request.reference else "pipeline"
    what = {kind: request.reference or request.pipeline}
    return attesting.attest(ws, what, request.base or None, request.files, request.requirements)


@operation("images.key", "GET", "/api/v1/images/key", Permission.READ, example={})
def key(ws: Workspace, request: Nothing) -> PublicKey:  # noqa: ARG001
    """Return the public key that checks what this home signs, and its name."""
    from mainspring.workspace.packaging import attesting

    return attesting.key_of(ws)
