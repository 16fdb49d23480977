"""Gates: the one of a model, running it again, and a comment on a change."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.bounds import within
from mainspring.ground.gates import Gate
from mainspring.ground.permissions import Permission
from mainspring.readiness.declaring import checked
from mainspring.web.api.fields import (
    ColumnName,
    ModelName,
    Number,
    OfModel,
    Request,
    Rows,
)
from mainspring.web.api.models import Judging, Markdown
from mainspring.web.api.operations import operation
from mainspring.workspace.gates import ModelGate
from mainspring.workspace.opening import Workspace


class DeclareGate(Request, frozen=True, kw_only=True):
    """What the versions of a model must show before they may serve."""

    model: ModelName
    gate: Gate


class RunGate(Request, frozen=True, kw_only=True):
    """Which version to judge again; on which rows, if not the newest that are known."""

    model: ModelName
    number: Number
    rows: Rows | None = None
    target: ColumnName | None = None


class CommentOn(Request, frozen=True, kw_only=True):
    """Which version to comment on, and what to compare it with."""

    model: ModelName
    number: Number
    against: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=300,
            description="An alias, a number, or a version of the same model.",
        ),
    ] = "champion"
    links: Annotated[
        str, Meta(max_length=300, pattern="^(https?://.*)?$", description="What links begin with.")
    ] = ""


@operation("gates.show", "GET", "/api/v1/models/{model}/gate", Permission.READ)
def show(ws: Workspace, request: OfModel) -> ModelGate:
    """Show the one gate of a model, and where it is declared."""
    from mainspring.workspace import gates

    return gates.show(ws, request.model)


@operation(
    "gates.declare",
    "POST",
    "/api/v1/models/{model}/gate",
    Permission.LOOP,
    example={"model": "churn", "gate": {"at_least": {"auc": 0.7}, "needs_card": False}},
)
def declare(ws: Workspace, request: DeclareGate) -> ModelGate:
    """Declare the gate of a model that no loop looks after; a loop declares its own."""
    from mainspring.workspace import gates

    within("gate.valid_s", request.gate.valid_s, 0, float("inf"))
    return gates.declare(ws, request.model, checked(request.gate))


@operation(
    "gates.run",
    "POST",
    "/api/v1/models/{model}/versions/{number}/gate",
    Permission.REGISTER,
    example={"model": "flights", "number": 7},
)
def run(ws: Workspace, request: RunGate) -> Judging:
    """Run a version's gate again, on the newest labelled rows; an engine does it."""
    from mainspring.workspace import registering

    task = registering.judge_again(ws, request.model, request.number, request.rows, request.target)
    return Judging(task=task, state="ready")


@operation(
    "gates.comment",
    "GET",
    "/api/v1/models/{model}/versions/{number}/comment",
    Permission.READ,
    example={"model": "flights", "number": 8},
)
def comment(ws: Workspace, request: CommentOn) -> Markdown:
    """Tell how a version differs from another, and what its gate found, for a pull request."""
    from mainspring.workspace.views import comment

    text = comment.comment(
        ws, request.model, request.number, request.against, request.links or None
    )
    return Markdown(markdown=text)
