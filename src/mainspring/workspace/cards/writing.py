"""Write cards and data sheets in the form that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from mainspring.debt.cards import datasheet, markdown, sagemaker, sections
from mainspring.debt.cards.facts import CardFacts
from mainspring.debt.cards.sections import Section
from mainspring.ground.cards import missing
from mainspring.ground.errors import BadInputError
from mainspring.workspace.cards.gathering import card_facts, data_facts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.reports import onefile
from mainspring.workspace.reports.document import Chart, Part, Report, Table, Text

Form = Literal["markdown", "html", "json", "sagemaker"]


def card(ws: Workspace, ref: str, form: str = "markdown") -> str:
    """Return the card of the version that a reference names, as a text in one of the forms.

    ``json`` holds everything the card is made of; ``sagemaker`` is the content of a model card
    of SageMaker, as JSON.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if there is no such form.
    """
    _known(form, get_args(Form))
    facts = card_facts(ws, ref)
    title = f"{facts.version.model}/{facts.version.number}"
    if form == "sagemaker":
        return _json(sagemaker.content(facts))
    if form == "json":
        return _json(_everything(facts))
    several = sections.card(facts)
    return _text(title, sections.headline(facts), several, form, missing(facts.version.card))


def data_sheet(ws: Workspace, name: str, digest: str | None = None, form: str = "markdown") -> str:
    """Return the sheet of a dataset as Markdown, HTML or JSON.

    Raises:
        NotFoundError: if no run logged such a dataset.
        BadInputError: if there is no such form.
    """
    _known(form, ("markdown", "html", "json"))
    facts = data_facts(ws, name, digest)
    if form == "json":
        return _json(msgspec.to_builtins(facts))
    several = datasheet.sections(facts)
    return _text(name, datasheet.headline(facts), several, form, datasheet.missing(facts.sheet))


def _known(form: str, forms: Sequence[str]) -> None:
    if form not in forms:
        raise BadInputError(
            f"There is no form {form!r}.", field="form", hint=f"It is one of {', '.join(forms)}."
        )


def _text(
    title: str, headline: str, several: Sequence[Section], form: str, owed: Sequence[str]
) -> str:
    if form == "markdown":
        return markdown.text(title, headline, several)
    tone = "notice" if owed else "quiet"
    told = f"{headline} Still to be written: {', '.join(owed)}." if owed else headline
    return onefile.html(
        Report(
            title=title,
            headline=told,
            tone=tone,
            facts=[],
            parts=[_part(one) for one in several],
        )
    )


def _part(one: Section) -> Part:
    blocks: list[Text | Table | Chart] = [Text(text=line) for line in one.text]
    if one.owed:
        blocks.append(Text(text=f"Missing: {one.owed}.", tone="notice"))
    if one.rows:
        blocks.append(Table(columns=one.columns, rows=one.rows))
    return Part(title=one.title, blocks=blocks)


def _everything(facts: CardFacts) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(facts)
    found["card"] = msgspec.to_builtins(facts.card)
    found["missing"] = missing(facts.version.card)
    return found


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
