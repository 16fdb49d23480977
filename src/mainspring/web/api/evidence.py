"""Evidence: what was tried or measured, on a version, a model, a pipeline or an endpoint."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Limit, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

Subject = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="model/7, model:NAME, pipeline:MODULE:FUNCTION, endpoint:NAME or project.",
        examples=["flights/7"],
    ),
]
EvidenceKind = Annotated[
    str, Meta(min_length=1, max_length=60, description="One kind.", examples=["load"])
]


class ListEvidence(Request, frozen=True, kw_only=True):
    """Which evidence: on a subject, of a kind, or all."""

    subject: Subject | None = None
    kind: EvidenceKind | None = None
    limit: Limit = 100


class OfEvidence(Request, frozen=True, kw_only=True):
    """One piece of evidence."""

    id: Annotated[Name, Meta(description="The evidence's id.", examples=["ev_01jz"])]


@operation("evidence.list", "GET", "/api/v1/evidence", Permission.READ)
def list_evidence(ws: Workspace, request: ListEvidence) -> list[Evidence]:
    """List evidence, the newest first."""
    from mainspring.readiness import evidence

    return ws.read(
        Permission.READ,
        lambda tx: evidence.listing(tx, request.subject, request.kind, request.limit),
    )


@operation("evidence.get", "GET", "/api/v1/evidence/{id}", Permission.READ)
def get_evidence(ws: Workspace, request: OfEvidence) -> Evidence:
    """Show one piece of evidence with all its figures."""
    from mainspring.readiness import evidence

    return ws.read(Permission.READ, lambda tx: evidence.get(tx, request.id))
