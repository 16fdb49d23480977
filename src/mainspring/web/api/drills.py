"""Rehearsals: what must work on a bad day is tried on a good one, and kept as evidence."""

from __future__ import annotations

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import EndpointName, Number, OfModel, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring.drill import Drilled
from mainspring.workspace.scoring.exercise import Act


class RollBackDrill(Request, frozen=True, kw_only=True):
    """Which endpoint, and to which version; the champion before, if none is named."""

    endpoint: EndpointName
    to: Number | None = None


@operation(
    "drills.rollback",
    "POST",
    "/api/v1/endpoints/{endpoint}/drill",
    Permission.SERVE,
    example={"endpoint": "flights", "to": 6},
)
def rollback(ws: Workspace, request: RollBackDrill) -> Drilled:
    """Rehearse a roll-back under load on a copy of an endpoint; some seconds.

    Nobody is touched: the copy is a process of its own on a free port, with the same packages.
    What came of it, failed requests and seconds to recovery, is evidence on the endpoint.
    """
    from mainspring.workspace.scoring import drill

    return drill.rollback(ws, request.endpoint, request.to)


@operation(
    "drills.exercise",
    "POST",
    "/api/v1/models/{model}/exercise",
    Permission.SERVE,
    example={"model": "flights"},
)
def exercise(ws: Workspace, request: OfModel) -> list[Act]:
    """Try what the ML Test Score asks for and a machine can do, and keep each as evidence.

    Personal values are looked for, columns held against ``columns.toml``, a captured row is
    followed to its score, dependencies are changed on a copy, a roll-back is rehearsed. What
    cannot be tried yet is answered with its reason.
    """
    from mainspring.workspace.scoring import exercise as acts

    return list(acts.exercise(ws, request.model))
