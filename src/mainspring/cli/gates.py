"""Gates: show, declare and run the one of a model, approve by four eyes, tell a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.judging import Bounds, Latency, Tolerance, bounds, draw_gate, ended
from mainspring.cli.measures import MEASURES, Measures
from mainspring.cli.models import ModelName, Reason, VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call, settings_of
from mainspring.ground.durations import spoken
from mainspring.ground.errors import BadInputError, StepFailedError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.readiness.checklist import Checklist

Junit = Annotated[
    Path | None, Parameter(help="Write it as JUnit XML to this file; every CI reads that.")
]
MarkdownFile = Annotated[Path | None, Parameter(help="Write it as Markdown to this file.")]


def run(
    version: VersionRef,
    /,
    *,
    rows: Annotated[
        str | None, Parameter(help="Labelled rows to judge on, instead of the newest known.")
    ] = None,
    target: Annotated[
        str | None, Parameter(help="The column of those rows that it predicts.")
    ] = None,
    junit: Junit = None,
    markdown: MarkdownFile = None,
    options: Everywhere = HERE,
) -> int:
    """Run every check of a version's gate again, on the newest labelled rows.

    The gate is the one of the model: its loop's, else the one declared for it. Exit code 0 if the
    version passed, 1 if it was refused or waits for an approval, 2 if it could not be asked.
    """
    from mainspring.ground.gates import GateResult
    from mainspring.readiness import junit as xml
    from mainspring.readiness import telling

    model, number = reference(version)
    asked: dict[str, Any] = {"model": model, "number": number, "target": target}
    if rows is not None:
        from mainspring.cli.serving import read_rows

        asked["rows"] = read_rows(rows)
    with asking(options) as house:
        task = house.call("gates.run", **asked)["task"]
        found = ended(house, task, options)
        if found["passed"] is None:
            raise StepFailedError(f"{version} could not be judged: {found['reason']}")
        gate = house.call("models.version", model=model, number=number)["gates"][0]
    told = msgspec.convert(gate, GateResult)
    _write(junit, xml.of_gate(told) + "\n")
    _write(markdown, telling.of_gate(told, told.made or 0.0, settings_of(options).url))
    render.answer(options, found | {"gate": gate}, lambda out: draw_gate(out, gate, found))
    return 0 if gate["passed"] else 1


def show(model: ModelName, /, *, options: Everywhere = HERE) -> None:
    """Show the one gate of a model: what its versions must show, and where that is declared."""
    found = call(options, "gates.show", model=model)

    def draw(out: Console) -> None:
        where = {
            "loop": f"declared with the loop {found['loop']}",
            "model": f"declared for the model by {found['by']}",
            "default": f"declared nowhere: mainspring gate declare {model}",
        }[found["source"]]
        out.print(render.plain(f"The gate of {found['model']}, {where}."))
        rows = [(name, _said(name, value)) for name, value in found["gate"].items()]
        render.table(out, ("ASKS FOR", ""), [row for row in rows if row[1] != ""])

    render.answer(options, found, draw)


def declare(
    model: ModelName,
    /,
    *,
    at_least: Bounds = None,
    at_most: Bounds = None,
    max_latency_ms: Latency = None,
    tolerance: Tolerance = None,
    measures: Measures = MEASURES,
    card: Annotated[bool, Parameter(negative=(), help="Ask for a complete card.")] = False,
    approval: Annotated[
        bool, Parameter(negative=(), help="Ask for another person's approval.")
    ] = False,
    valid: Annotated[str | None, Parameter(help="How long a result holds. [default: 30d]")] = None,
    options: Everywhere = HERE,
) -> None:
    """Declare the gate of a model that no loop looks after.

    Without any option it is read from mainspring.toml, from the table [gates.MODEL], where the
    names are those of ms.Gate.
    """
    from mainspring.readiness.declaring import Gate

    given: dict[str, Any] = bounds(at_least, at_most, max_latency_ms, tolerance) or {}
    given |= measures.words()
    given |= {"valid": valid} if valid is not None else {}
    given |= {"needs_card": True} if card else {}
    given |= {"approval": True} if approval else {}
    if not given:
        given = _from_file(options, model)
    try:
        gate = Gate(**{"needs_card": False, **given})
    except TypeError as error:
        raise BadInputError(f"[gates.{model}]: {error}.", field="gates") from error
    done = call(options, "gates.declare", model=model, gate=msgspec.to_builtins(gate))
    render.said(options, done, f"The gate of {done['model']} is declared.")


def comment(
    version: VersionRef,
    /,
    *,
    against: Annotated[
        str, Parameter(help="An alias, a number or a version of the same model.")
    ] = "champion",
    links: Annotated[
        str | None, Parameter(help="What links begin with. [default: the server of --url]")
    ] = None,
    markdown: MarkdownFile = None,
    options: Everywhere = HERE,
) -> None:
    """Write what a pull request should be told of a version: what differs, and its gate."""
    model, number = reference(version)
    base = links if links is not None else settings_of(options).url or ""
    found = call(options, "gates.comment", model=model, number=number, against=against, links=base)
    _write(markdown, found["markdown"])
    if options.json or markdown is None:
        render.answer(options, found, lambda _: _print(found["markdown"]))


def approve(
    version: VersionRef,
    /,
    *,
    reason: Reason,
    refuse: Annotated[bool, Parameter(negative=(), help="Refuse the version instead.")] = False,
    options: Everywhere = HERE,
) -> None:
    """Approve a version that another person made. Its author cannot.

    A loop that waits for it goes on with the version, as with every other: into a rollout.
    """
    model, number = reference(version)
    done = call(
        options, "models.approve", model=model, number=number, reason=reason, refuse=refuse
    )
    word = "refused" if refuse else "approved"
    stands = {
        "passed": "its gate passed",
        "refused": "its gate refuses it",
        "waits": "its gate still waits for an approval that counts",
        "not judged": "its gate asks for no approval",
    }[done["standing"]]
    by = done["evidence"]["by"]
    render.said(options, done, f"{model}/{number} is {word} by {by}; {stands}.")


def readiness(
    version: VersionRef,
    /,
    *,
    junit: Junit = None,
    markdown: MarkdownFile = None,
    options: Everywhere = HERE,
) -> int:
    """Print the production checklist of a version, each item with what shows it.

    Exit code 0 if nothing failed and nothing is stale, 1 if something did or is. What nobody asks
    for stops nothing.
    """
    from mainspring.readiness import junit as xml
    from mainspring.readiness import telling
    from mainspring.readiness.checklist import Checklist

    model, number = reference(version)
    found = call(options, "models.readiness", model=model, number=number)
    told = msgspec.convert(found, Checklist)
    url = settings_of(options).url
    _write(junit, xml.of_checklist(told) + "\n")
    _write(markdown, telling.of_checklist(told, url))
    render.answer(options, found, lambda out: _draw_checklist(out, told, url))
    return 0 if told.ready else 1


def _draw_checklist(out: Console, told: Checklist, url: str | None) -> None:
    from mainspring.readiness.telling import opened

    name = f"{told.model}/{told.number}"
    for given in told.overrides:
        out.print(render.plain(f"OVERRIDE: {given}"), style="bold red")
    rows = []
    for item in told.items:
        links = dict.fromkeys(opened(link, name, url) for link in item.opens)
        rows.append((item.state, item.name, item.found, "; ".join(links)))
    render.table(out, ("STATE", "ITEM", "FOUND", "OPEN"), rows)
    bad = sum(item.state in ("fail", "stale") for item in told.items)
    missing = f"{bad} item{'s' if bad != 1 else ''}"
    out.print(f"{name} is ready." if told.ready else f"{name} is not ready: {missing}.")


def _said(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {bound}" for key, bound in value.items())
    if value is None or value is False or value in ("", []):
        return ""
    if name.endswith("_s"):
        return spoken(float(value))
    return "yes" if value is True else str(value)


def _from_file(options: Everywhere, model: str) -> dict[str, Any]:
    settings = settings_of(options)
    if model not in settings.gates:
        raise BadInputError(
            f"Say what the gate asks for: mainspring.toml has no table [gates.{model}].",
            field="gates",
            hint=f"For example: mainspring gate declare {model} --at-least auc=0.7",
        )
    return dict(settings.gates[model])


def _write(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise BadInputError(
            f"{file} cannot be written: {error.strerror}.", field="file"
        ) from error


def _print(text: str) -> None:
    sys.stdout.write(text)
