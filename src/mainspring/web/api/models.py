"""Models: versions, promotion by hand, cards, and why a version serves."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.contracts import Contract
from mainspring.ground.objects import Card, Evidence, Gate, GateResult, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness.checklist import Checklist
from mainspring.readiness.declaring import checked
from mainspring.readiness.whynot import WhyNot
from mainspring.web.api.fields import (
    ColumnName,
    Done,
    ModelName,
    Name,
    Number,
    OfModel,
    OfVersion,
    Reason,
    Ref,
    Request,
    Rows,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import ModelDetail, ModelRow, Move, VersionDetail, Why


class PromoteVersion(Request, frozen=True, kw_only=True):
    """Which version becomes champion, and why."""

    model: ModelName
    number: Number
    reason: Reason
    watch: Annotated[
        bool,
        Meta(description="Let the champion before return by itself should this one break."),
    ] = True


class MoveVersion(Request, frozen=True, kw_only=True):
    """Which version, and why."""

    model: ModelName
    number: Number
    reason: Reason


class Approve(Request, frozen=True, kw_only=True):
    """Which version is approved or refused, and why."""

    model: ModelName
    number: Number
    reason: Reason
    refuse: Annotated[bool, Meta(description="Refuse it instead.")] = False


class Recovered(Done, frozen=True, kw_only=True):
    """Which version serves again, and since when."""

    champion: int
    #: Endpoint that is up -> seconds from the command to its answering with that version.
    seconds: dict[str, float | None]


class RollBack(Request, frozen=True, kw_only=True):
    """Which model to take back, why, and to which version; the one before if none is named."""

    model: ModelName
    reason: Reason
    to: Number | None = None


class RegisterLogged(Request, frozen=True, kw_only=True):
    """Which logged model becomes a version, and of which model."""

    model: ModelName
    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=400,
            description="A logged model's id, or RUN/NAME.",
            examples=["m-031f762f53d0714aaa2620acab023ab3", "run_01jz/model"],
        ),
    ]


class ByRef(Request, frozen=True, kw_only=True):
    """Which version."""

    ref: Ref


class GuardAliases(Request, frozen=True, kw_only=True):
    """Which aliases of a model ask for a passed gate."""

    model: ModelName
    aliases: Annotated[
        list[Name],
        Meta(min_length=1, max_length=100, description="All of them; champion is always one."),
    ]


class JudgeVersion(Request, frozen=True, kw_only=True):
    """Which version to judge, on which labelled rows, by which gate.

    Without a gate it is judged by its model's. One that is given becomes the gate of the model.
    """

    model: ModelName
    number: Number
    rows: Rows
    target: ColumnName
    gate: Gate | None = None
    card: Card | None = None


class OfJudging(Request, frozen=True, kw_only=True):
    """Which gate that was asked for by hand."""

    task: Annotated[str, Meta(min_length=1, max_length=128, description="The answer of judge.")]


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """What was kept, and how the version's gate stands now."""

    evidence: Evidence
    gate: GateResult | None
    standing: Literal["passed", "refused", "waits", "not judged"]


class Guarded(msgspec.Struct, frozen=True, kw_only=True):
    """The aliases of a model that ask for a passed gate."""

    model: str
    aliases: list[str]


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """The package whose pickled code may run when it is converted."""

    package: str


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """How far a gate is that was asked for by hand."""

    task: str
    state: str
    passed: bool | None = None
    reason: str = ""
    notes: list[str] = []


class Championed(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves now and who did before."""

    champion: int
    previous: int | None


class Markdown(msgspec.Struct, frozen=True, kw_only=True):
    """A text for people."""

    markdown: str


@operation("models.list", "GET", "/api/v1/models", Permission.READ)
def list_models(ws: Workspace) -> list[ModelRow]:
    """List the models by name, each with its champion."""
    from mainspring.workspace.views.models import model_list

    return model_list(ws)


@operation("models.get", "GET", "/api/v1/models/{model}", Permission.READ)
def get_model(ws: Workspace, request: OfModel) -> ModelDetail:
    """Show one model: its versions, newest first, and its aliases."""
    from mainspring.workspace.views.models import model_detail

    return model_detail(ws, request.model)


@operation("models.version", "GET", "/api/v1/models/{model}/versions/{number}", Permission.READ)
def get_version(ws: Workspace, request: OfVersion) -> VersionDetail:
    """Show one version: signature, metrics, what the gate found, its card."""
    from mainspring.workspace.views.models import version_detail

    return version_detail(ws, request.model, request.number)


@operation("models.history", "GET", "/api/v1/models/{model}/history", Permission.READ)
def model_history(ws: Workspace, request: OfModel) -> list[Move]:
    """Show every move of the model's aliases, newest first, with its reason."""
    from mainspring.workspace.views.models import history

    return history(ws, request.model)


@operation(
    "models.promote",
    "POST",
    "/api/v1/models/{model}/versions/{number}/promote",
    Permission.PROMOTE,
    example={"model": "flights", "number": 7, "reason": "The canary looks well.", "watch": True},
)
def promote(ws: Workspace, request: PromoteVersion) -> Championed:
    """Make a version champion by hand; without a passed gate the store refuses."""
    from mainspring.workspace import acts

    before = acts.promote(ws, request.model, request.number, request.reason, watch=request.watch)
    return Championed(champion=request.number, previous=before)


@operation(
    "models.rollback",
    "POST",
    "/api/v1/models/{model}/rollback",
    Permission.PROMOTE,
    example={"model": "flights", "reason": "Complaints since noon."},
)
def roll_back(ws: Workspace, request: RollBack) -> Recovered:
    """Give the champion alias back to the champion before, or to a version named.

    It waits, for 10 s at the most, until the model's endpoints answer with it, and says how long
    that took.
    """
    from mainspring.workspace import recovering

    number, seconds = recovering.roll_back(ws, request.model, request.reason, request.to)
    return Recovered(champion=number, seconds=seconds)


@operation(
    "models.override",
    "POST",
    "/api/v1/models/{model}/versions/{number}/override",
    Permission.PROMOTE,
    example={"model": "flights", "number": 8, "reason": "The latency was measured under load."},
)
def override(ws: Workspace, request: MoveVersion) -> Done:
    """Let a refused version into a canary; it can never get past one."""
    from mainspring.workspace import acts

    acts.override(ws, request.model, request.number, request.reason)
    return Done()


@operation(
    "models.approve",
    "POST",
    "/api/v1/models/{model}/versions/{number}/approve",
    Permission.PROMOTE,
    example={"model": "flights", "number": 7, "reason": "Looked at the slices with the team."},
)
def approve(ws: Workspace, request: Approve) -> Approved:
    """Approve a version that another person made, or refuse it."""
    from mainspring.workspace import approving

    given, gate = approving.approve(
        ws, request.model, request.number, request.reason, refuse=request.refuse
    )
    standing: Literal["passed", "refused", "waits", "not judged"] = "not judged"
    if gate is not None:
        standing = "passed" if gate.passed else "waits" if gate.waits else "refused"
    return Approved(evidence=given, gate=gate, standing=standing)


@operation(
    "models.readiness",
    "GET",
    "/api/v1/models/{model}/versions/{number}/readiness",
    Permission.READ,
)
def readiness(ws: Workspace, request: OfVersion) -> Checklist:
    """Show the production checklist of a version, each item with what shows it."""
    from mainspring.workspace.views import readiness

    return readiness.checklist(ws, request.model, request.number)


@operation(
    "models.guard",
    "POST",
    "/api/v1/models/{model}/guard",
    Permission.PROMOTE,
    example={"model": "flights", "aliases": ["champion", "production"]},
)
def guard(ws: Workspace, request: GuardAliases) -> Guarded:
    """Say which aliases of a model ask for a passed gate."""
    from mainspring.workspace import registering

    aliases = registering.guard(ws, request.model, request.aliases)
    return Guarded(model=request.model, aliases=aliases)


@operation(
    "models.trust",
    "POST",
    "/api/v1/models/{model}/versions/{number}/trust",
    Permission.PROMOTE,
    example={"model": "flights", "number": 3, "reason": "Our own nightly training wrote it."},
)
def trust(ws: Workspace, request: MoveVersion) -> Trusted:
    """Let the pickled code of a version run, in a process of its own, when it is converted."""
    from mainspring.workspace import registering

    package = registering.trust(ws, request.model, request.number, request.reason)
    return Trusted(package=package)


@operation(
    "models.register",
    "POST",
    "/api/v1/models/{model}/versions",
    Permission.REGISTER,
    example={"model": "flights", "source": "run_01jz/model"},
)
def register(ws: Workspace, request: RegisterLogged) -> Version:
    """Register a model that a run logged as the next version of a model."""
    from mainspring.workspace import registering

    return registering.register_logged(ws, request.source, request.model)


@operation(
    "models.judge",
    "POST",
    "/api/v1/models/{model}/versions/{number}/judge",
    Permission.REGISTER,
    example={
        "model": "flights",
        "number": 3,
        "rows": [{"distance": 731.0, "carrier": "B6", "delayed": 0}],
        "target": "delayed",
    },
)
def judge(ws: Workspace, request: JudgeVersion) -> Judging:
    """Put a version through the gate on rows that it did not learn from; an engine does it."""
    from mainspring.workspace import registering

    task = registering.judge(
        ws,
        request.model,
        request.number,
        request.rows,
        request.target,
        None if request.gate is None else checked(request.gate),
        request.card,
    )
    return Judging(task=task, state="ready")


@operation("models.judging", "GET", "/api/v1/judgings/{task}", Permission.READ)
def judging(ws: Workspace, request: OfJudging) -> Judging:
    """Show how far a gate is that was asked for by hand."""
    from mainspring.workspace import registering

    found = registering.judging(ws, request.task)
    told = found.result or {}
    return Judging(
        task=found.id,
        state=found.state,
        passed=told.get("passed"),
        reason=told.get("reason") or found.error,
        notes=told.get("notes") or [],
    )


@operation(
    "models.why_not", "GET", "/api/v1/why-not", Permission.READ, example={"ref": "flights/8"}
)
def why_not(ws: Workspace, request: ByRef) -> WhyNot:
    """Say why a version is not champion: the one reason that holds, and what it rests on."""
    from mainspring.workspace.views import whynot

    return whynot.of_version(ws, request.ref)


@operation(
    "models.why", "GET", "/api/v1/why", Permission.READ, example={"ref": "flights@champion"}
)
def why(ws: Workspace, request: ByRef) -> Why:
    """Tell the chain from a version back to the rows that asked for it."""
    from mainspring.workspace.views import models

    return models.why(ws, request.ref)


@operation(
    "models.contract", "GET", "/api/v1/contracts", Permission.READ, example={"ref": "flights/7"}
)
def contract(ws: Workspace, request: ByRef) -> Contract:
    """Show the contract of a version: its own, or what its training data suggests."""
    from mainspring.workspace import contracts

    return contracts.of_version(ws, request.ref)


@operation(
    "models.card", "GET", "/api/v1/cards", Permission.READ, example={"ref": "flights@champion"}
)
def card(ws: Workspace, request: ByRef) -> Markdown:
    """Show a version's card as Markdown."""
    from mainspring.workspace.views import models

    return Markdown(markdown=models.card(ws, request.ref))
