"""Packages and graphs: register what no run logged, as files or as stages of other versions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.objects import Kind, Version
from mainspring.ground.permissions import Permission
from mainspring.scaling.models.stages import GraphSpec, Stage
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


class AddGraph(Request, frozen=True, kw_only=True):
    """The stages of a graph of models, in the order in which they run."""

    model: ModelName
    stages: Annotated[list[Stage], Meta(min_length=1, max_length=50)]
    kind: Kind | None = None


@operation(
    "graphs.add",
    "POST",
    "/api/v1/graphs",
    Permission.REGISTER,
    example={
        "model": "delays",
        "stages": [{"name": "mean", "ensemble": ["flights/7", "flights@champion"]}],
    },
)
def add_graph(ws: Workspace, request: AddGraph) -> Version:
    """Register a graph as a model's next version, each member pinned as it is now."""
    from mainspring.workspace import graphs

    spec = GraphSpec(stages=request.stages, kind=request.kind)
    return graphs.register(ws, request.model, spec)
