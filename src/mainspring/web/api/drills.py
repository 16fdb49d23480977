"""Rehearsals: what must work on a bad day is tried on a good one, and kept as evidence."""

from __future__ import annotations

from mainspring.ground.limits import CapacityAsked, LoadLimits
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.readiness.declaring import checked_load
from mainspring.web.api.fields import EndpointName, ModelName, Number, OfModel, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring.drill import Drilled
from mainspring.workspace.scoring.exercise import Act


class RollBackDrill(Request, frozen=True, kw_only=True):
    """Which endpoint, and to which version; the champion before, if none is named."""

    endpoint: EndpointName
    to: Number | None = None


class LoadTest(Request, frozen=True, kw_only=True):
    """Which version to ask, and within which limits."""

    model: ModelName
    number: Number
    limits: LoadLimits | None = None


class FindCapacity(Request, frozen=True, kw_only=True):
    """Which version to ask, and what it is to be enough for."""

    model: ModelName
    number: Number
    asked: CapacityAsked | None = None


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
    "drills.load",
    "POST",
    "/api/v1/models/{model}/versions/{number}/load",
    Permission.REGISTER,
    example={
        "model": "flights",
        "number": 7,
        "limits": {"max_p99_ms": 20.0, "max_memory_mb": 400.0},
    },
)
def load(ws: Workspace, request: LoadTest) -> Evidence:
    """Ask a version over HTTP in a process of its own, measure it, and keep what came.

    Without limits those of the model's gate are taken. It takes some seconds.
    """
    from mainspring.workspace import load_tests

    limits = None if request.limits is None else checked_load(request.limits)
    return load_tests.load_test(ws, request.model, request.number, limits)


@operation(
    "drills.capacity",
    "POST",
    "/api/v1/models/{model}/versions/{number}/capacity",
    Permission.REGISTER,
    example={
        "model": "flights",
        "number": 7,
        "asked": {"rate": 500.0, "p99_ms": 50.0, "connections": 64, "step_s": 0.6},
    },
)
def capacity(ws: Workspace, request: FindCapacity) -> Evidence:
    """Find how much one worker of a version answers, and how many a rate needs; kept.

    The version answers in a process of its own on this machine. Under half a minute.
    """
    from mainspring.workspace import load_tests

    return load_tests.capacity(ws, request.model, request.number, request.asked)


@operation(
    "drills.exercise",
    "POST",
    "/api/v1/models/{model}/exercise",
    Permission.SERVE,
    example={"model": "flights"},
)
def exercise(ws: Workspace, request: OfModel) -> list[Act]:
    """Try what the ML Test Score asks for and a machine can do, and keep each as evidence.

    Personal values are looked for, columns held against ``columns.toml``, each feature is left
    out to see what it gives, a captured row is followed to its score, dependencies are changed on
    a copy, a roll-back is rehearsed. What cannot be tried yet is answered with its reason.
    """
    from mainspring.workspace.scoring import exercise as acts

    return list(acts.exercise(ws, request.model))
