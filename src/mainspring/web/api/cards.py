"""Cards of versions and sheets of datasets: read in a form, changed field by field."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.cards import Risk
from mainspring.ground.objects import Assumption, Card, DataSheet
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import ModelName, Name, Number, OfVersion, Ref, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.cards.keeping import WrittenCard
from mainspring.workspace.opening import Workspace

Words = Annotated[str, Meta(max_length=20_000)]
Form = Annotated[
    str, Meta(max_length=20, description="markdown, html, json or sagemaker.", examples=["html"])
]
DatasetName = Annotated[Name, Meta(description="The dataset's name.", examples=["flights"])]


class ExportCard(Request, frozen=True, kw_only=True):
    """Which version's card, in which form."""

    ref: Ref
    form: Form = "markdown"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A card or sheet as a text."""

    form: str
    text: str


class SetCard(Request, frozen=True, kw_only=True):
    """What is said anew of a version; a field that is left out stays as it is."""

    model: ModelName
    number: Number
    purpose: Words | None = None
    owner: Words | None = None
    limitations: Words | None = None
    intended_use: Words | None = None
    ethics: Words | None = None
    risk: Risk | None = None
    risk_reason: Words | None = None
    data: Words | None = None
    notes: Words | None = None
    assumptions: list[Assumption] | None = None


class SheetForm(Request, frozen=True, kw_only=True):
    """Which dataset, which version of it, in which form."""

    name: DatasetName
    digest: Annotated[str, Meta(min_length=4, max_length=128)] | None = None
    form: Form = "markdown"


class SetSheet(Request, frozen=True, kw_only=True):
    """What is said anew of a dataset; a field that is left out stays as it is."""

    name: DatasetName
    owner: Words | None = None
    purpose: Words | None = None
    collection: Words | None = None
    privacy: Words | None = None
    licence: Words | None = None
    upkeep: Words | None = None
    limitations: Words | None = None
    notes: Words | None = None


@operation(
    "cards.export",
    "GET",
    "/api/v1/cards/export",
    Permission.READ,
    example={"ref": "flights@champion", "form": "sagemaker"},
)
def export(ws: Workspace, request: ExportCard) -> Exported:
    """Write a version's card as Markdown, HTML, JSON, or in the shape of SageMaker's cards."""
    from mainspring.workspace.cards import writing

    return Exported(form=request.form, text=writing.card(ws, request.ref, request.form))


@operation(
    "cards.set",
    "POST",
    "/api/v1/models/{model}/versions/{number}/card",
    Permission.REGISTER,
    example={
        "model": "flights",
        "number": 7,
        "owner": "ops",
        "assumptions": [{"text": "Gates post delays.", "owner": "ops", "review_by": "2027-06-30"}],
    },
)
def set_card(ws: Workspace, request: SetCard) -> Card:
    """Change fields of a version's card; the cards before it stay readable."""
    from mainspring.workspace.cards import keeping

    return keeping.set_card(ws, request.model, request.number, _words(request, "model", "number"))


@operation(
    "cards.history", "GET", "/api/v1/models/{model}/versions/{number}/cards", Permission.READ
)
def card_history(ws: Workspace, request: OfVersion) -> list[WrittenCard]:
    """List the cards of a version, the newest first."""
    from mainspring.workspace.cards import keeping

    return keeping.card_history(ws, request.model, request.number)


@operation("datasheets.export", "GET", "/api/v1/datasheets/{name}", Permission.READ)
def export_sheet(ws: Workspace, request: SheetForm) -> Exported:
    """Write the sheet of a dataset as Markdown, HTML or JSON."""
    from mainspring.workspace.cards import writing

    text = writing.data_sheet(ws, request.name, request.digest, request.form)
    return Exported(form=request.form, text=text)


@operation(
    "datasheets.set",
    "POST",
    "/api/v1/datasheets/{name}",
    Permission.REGISTER,
    example={"name": "flights", "owner": "ops", "licence": "CC0"},
)
def set_sheet(ws: Workspace, request: SetSheet) -> DataSheet:
    """Change fields of a dataset's sheet; what was said before stays readable."""
    from mainspring.workspace.cards import keeping

    return keeping.set_data_sheet(ws, request.name, _words(request, "name"))


def _words(request: Any, *apart: str) -> dict[str, Any]:
    given = msgspec.structs.asdict(request)
    return {key: value for key, value in given.items() if key not in apart and value is not None}
