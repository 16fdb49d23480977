"""Cards of versions and sheets of datasets, read and written from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

Form = Annotated[str, Parameter(help="markdown, html, json or sagemaker.")]
Out = Annotated[Path | None, Parameter(help="Write it to this file.")]
DatasetName = Annotated[str, Parameter(help="The dataset's name.")]
Words = Annotated[str | None, Parameter(show_default=False)]


def show(
    version: VersionRef, /, *, form: Form = "markdown", out: Out = None, options: Everywhere = HERE
) -> None:
    """Show a version's card: what people said, and what the records tell.

    In the form 'sagemaker' it is the content of a model card of SageMaker.
    """
    found = call(options, "cards.export", ref=version, form=form)
    _give(options, found, out)


def datasheet(
    name: DatasetName,
    /,
    *,
    digest: Annotated[str | None, Parameter(help="One version of it, by its digest.")] = None,
    form: Annotated[str, Parameter(help="markdown, html or json.")] = "markdown",
    out: Out = None,
    options: Everywhere = HERE,
) -> None:
    """Show the sheet of a dataset: what people said of it, its columns, who learnt from it."""
    found = call(options, "datasheets.export", name=name, digest=digest, form=form)
    _give(options, found, out)


def set_(
    version: VersionRef,
    /,
    *,
    purpose: Annotated[Words, Parameter(help="What is decided with it, and for whom.")] = None,
    owner: Annotated[Words, Parameter(help="Who answers for it.")] = None,
    limitations: Annotated[Words, Parameter(help="Where it must not be used.")] = None,
    intended_use: Annotated[Words, Parameter(help="Who uses it, for which decisions.")] = None,
    ethics: Annotated[Words, Parameter(help="Who could be harmed, what was done.")] = None,
    risk: Annotated[Words, Parameter(help="low, medium or high.")] = None,
    risk_reason: Annotated[Words, Parameter(help="Why the risk is that.")] = None,
    notes: Annotated[Words, Parameter(help="Anything else.")] = None,
    assume: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="What must go on being true: 'TEXT | OWNER | YYYY-MM-DD'. All of them: those that"
            " were there before are replaced.",
        ),
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Say your part of a version's card; what you leave out stays as it is."""
    model, number = reference(version)
    said = {
        "purpose": purpose,
        "owner": owner,
        "limitations": limitations,
        "intended_use": intended_use,
        "ethics": ethics,
        "risk": risk,
        "risk_reason": risk_reason,
        "notes": notes,
        "assumptions": None if assume is None else [_assumption(text) for text in assume],
    }
    given = _given(said)
    card = call(options, "cards.set", model=model, number=number, **given)
    render.said(options, card, f"The card of {model}/{number} says anew: {', '.join(given)}.")


def data(
    name: DatasetName,
    /,
    *,
    owner: Annotated[Words, Parameter(help="Who answers for it.")] = None,
    purpose: Annotated[Words, Parameter(help="What it was made for.")] = None,
    collection: Annotated[Words, Parameter(help="How, where and when it came about.")] = None,
    privacy: Annotated[Words, Parameter(help="What of it is about persons.")] = None,
    licence: Annotated[Words, Parameter(help="Who may use it for what.")] = None,
    upkeep: Annotated[Words, Parameter(help="Who changes it, how long it is kept.")] = None,
    limitations: Annotated[Words, Parameter(help="What it must not be used for.")] = None,
    notes: Annotated[Words, Parameter(help="Anything else.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Say your part of a dataset's sheet; what you leave out stays as it is."""
    given = _given(
        {
            "owner": owner,
            "purpose": purpose,
            "collection": collection,
            "privacy": privacy,
            "licence": licence,
            "upkeep": upkeep,
            "limitations": limitations,
            "notes": notes,
        }
    )
    sheet = call(options, "datasheets.set", name=name, **given)
    render.said(options, sheet, f"The sheet of {name} says anew: {', '.join(given)}.")


def check(
    version: VersionRef,
    /,
    *,
    require: Annotated[
        str, Parameter(help="Fields beyond purpose, owner and limitations: ethics,assumptions.")
    ] = "",
    options: Everywhere = HERE,
) -> int:
    """Say what is missing from a version's card, and which assumptions are overdue.

    Exit code 1 if something is.
    """
    from mainspring.ground.cards import check_fields, missing, overdue
    from mainspring.ground.clock import SystemClock
    from mainspring.ground.objects import Card

    model, number = reference(version)
    wanted = check_fields(part.strip() for part in require.split(",") if part.strip())
    found = call(options, "models.version", model=model, number=number)["card"]
    card = None if found is None else msgspec.convert(found, Card)
    late = overdue(card, SystemClock().now())
    told = {
        "missing": missing(card, wanted),
        "overdue": [msgspec.to_builtins(one) for one in late],
    }

    def draw(out: Console) -> None:
        for name in told["missing"]:
            out.print(render.plain(f"missing: {name}"))
        for one in late:
            line = f"overdue: {one.text} ({one.owner} was to look by {one.review_by})"
            out.print(render.plain(line))
        if not told["missing"] and not late:
            out.print(render.plain(f"The card of {model}/{number} is complete."))

    render.answer(options, told, draw)
    return 1 if told["missing"] or late else 0


def history(version: VersionRef, /, *, options: Everywhere = HERE) -> None:
    """List the cards a version had, newest first; the last is the one it was registered with."""
    model, number = reference(version)
    found = call(options, "cards.history", model=model, number=number)

    def draw(out: Console) -> None:
        rows = []
        for place, one in enumerate(found):
            before = found[place + 1]["card"] if place + 1 < len(found) else {}
            changed = [key for key, value in one["card"].items() if value != before.get(key, "")]
            said = [key for key in changed if one["card"][key] or before]
            rows.append((render.when(one["at"]), one["by"], ", ".join(said)))
        render.table(out, ("WHEN", "BY", "WHAT CHANGED"), rows, empty="No card was written.")

    render.answer(options, found, draw)


def _given(said: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in said.items() if value is not None}
    if not given:
        raise BadInputError(
            "Nothing was said.",
            field="words",
            hint=f"Give at least one of --{', --'.join(key.replace('_', '-') for key in said)}.",
        )
    return given


def _assumption(text: str) -> dict[str, str]:
    parts = [part.strip() for part in text.rsplit("|", 2)]
    if len(parts) != 3:
        raise BadInputError(
            f"An assumption is written 'TEXT | OWNER | YYYY-MM-DD', found {text!r}.",
            field="assume",
        )
    return dict(zip(("text", "owner", "review_by"), parts, strict=True))


def _give(options: Everywhere, found: dict[str, Any], out: Path | None) -> None:
    if out is None and not options.json:
        sys.stdout.write(found["text"])
        return
    if out is not None:
        from mainspring.workspace.reports.writing import to_file

        written = str(to_file(out, found["text"]))
        render.said(options, {"form": found["form"], "file": written}, f"Written to {written}.")
        return
    render.answer(options, found, lambda _: None)
