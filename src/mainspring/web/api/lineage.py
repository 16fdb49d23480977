"""Lineage: what a thing came from and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.lineage.shapes import Lineage
from mainspring.workspace.lineage.touched import Touched
from mainspring.workspace.opening import Workspace
from mainspring.workspace.openlineage.delivering import Deliveries


class AskLineage(Request, frozen=True, kw_only=True):
    """About what, which way, and how far."""

    subject: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2000,
            description="kind:id, or a version as name/7 or name@champion.",
            examples=["dataset:flights@3", "prediction:3f9a-17", "flights@champion"],
        ),
    ]
    direction: Annotated[
        Literal["up", "down", "both"], Meta(description="What it came from, what came of it.")
    ] = "both"
    depth: Annotated[int, Meta(ge=1, le=100, description="So many steps away at most.")] = 12
    most: Annotated[int, Meta(ge=1, le=5000, description="So many things each way at most.")] = 500
    kinds: Annotated[
        str,
        Meta(
            max_length=300,
            description="Tell things of these kinds alone, with commas between.",
            examples=["endpoint,window"],
        ),
    ] = ""


@operation("lineage.get", "GET", "/api/v1/lineage", Permission.READ)
def get_lineage(ws: Workspace, request: AskLineage) -> Lineage:
    """Show what a thing came from and what came of it, as a graph.

    Things are files, datasets, runs, steps, versions, aliases, rollouts, endpoints, windows and
    single predictions. Deleted runs and versions are told, as deleted.
    """
    from mainspring.workspace.lineage.asking import lineage_of

    return lineage_of(
        ws,
        request.subject,
        request.direction,
        depth=request.depth,
        most=request.most,
        kinds=[one.strip() for one in request.kinds.split(",") if one.strip()],
    )


class AskTouched(Request, frozen=True, kw_only=True):
    """About what, how far back, and how many ids."""

    subject: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2000,
            description="kind:id, or a version as name/7 or name@champion.",
            examples=["dataset:flights@3"],
        ),
    ]
    since_s: Annotated[
        float, Meta(gt=0, description="So many seconds back from an endpoint's newest capture.")
    ] = 604_800.0
    most: Annotated[
        int, Meta(ge=0, le=1000, description="So many ids of each version, the newest.")
    ] = 20


@operation("lineage.predictions", "GET", "/api/v1/lineage/predictions", Permission.READ)
def predictions_of(ws: Workspace, request: AskTouched) -> Touched:
    """Count the captured predictions that came of a thing, by endpoint, version and day.

    Work is bounded: of an endpoint with very many rows the newest are counted, and ``cut`` says
    from when on.
    """
    from mainspring.workspace.lineage.touched import touched

    return touched(ws, request.subject, since_s=request.since_s, most=request.most)


class ExportLineage(Request, frozen=True, kw_only=True):
    """How much to export."""

    limit: Annotated[int, Meta(ge=1, le=10_000, description="So many of the newest runs.")] = 1000


@operation("lineage.export", "GET", "/api/v1/lineage/openlineage", Permission.READ)
def export_lineage(ws: Workspace, request: ExportLineage) -> list[dict[str, Any]]:
    """Tell the newest runs of pipelines as OpenLineage events, oldest first."""
    from mainspring.workspace.openlineage.delivering import exported

    return exported(ws, request.limit)


@operation("lineage.deliveries", "GET", "/api/v1/lineage/deliveries", Permission.READ)
def deliveries_of_lineage(ws: Workspace) -> Deliveries:
    """Say how the deliveries of OpenLineage events to ``openlineage_url`` stand."""
    from mainspring.workspace.openlineage.delivering import deliveries

    return deliveries(ws)
