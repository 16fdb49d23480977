"""Packages: register the files of a model that no run logged."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.objects import Version
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import ModelName, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace


class AddPackage(Request, frozen=True, kw_only=True):
    """Which files make the next version of a model."""

    model: ModelName
    files: Annotated[
        dict[str, str],
        Meta(
            min_length=1,
            max_length=10_000,
            description="Digest by path, MLmodel among them; the bytes were sent to"
            " /api/v1/objects before.",
        ),
    ]
    source: Annotated[
        str, Meta(min_length=1, max_length=400, description="Where they came from, in words.")
    ]


@operation(
    "packages.add",
    "POST",
    "/api/v1/packages",
    Permission.REGISTER,
    example={"model": "odds", "files": {"MLmodel": "0" * 64}, "source": "predict.py:Odds"},
)
def add(ws: Workspace, request: AddPackage) -> Version:
    """Register files as a model's next version; it serves once it was judged."""
    from mainspring.workspace import registering

    return registering.add(ws, request.model, request.files, request.source)
