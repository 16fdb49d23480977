"""Pipelines: list them, run one, go on with a run, cancel it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.ended import to_the_end
from mainspring.cli.following import PLAIN, View
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, asking
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console


def pipelines(*, options: Everywhere = HERE) -> None:
    """List the project's pipelines with their parameters, and its loops."""
    with asking(options, create=True) as house:
        found = {"pipelines": house.call("pipelines.list"), "loops": house.call("loops.list")}

    def draw(out: Console) -> None:
        rows = [
            (p["name"], ", ".join(map(_parameter, p["parameters"])), p["summary"])
            for p in found["pipelines"]
        ]
        render.table(
            out,
            ("PIPELINE", "PARAMETERS", ""),
            rows,
            "No pipeline here. Write a project: mainspring init FILE --target COLUMN",
        )
        loops = [(one["name"], one["spec"]["pipeline"], one["words"]) for one in found["loops"]]
        if loops:
            out.print()
            render.table(out, ("LOOP", "PIPELINE", ""), loops)

    render.answer(options, found, draw)


def _parameter(found: dict[str, Any]) -> str:
    return found["name"] if found["required"] else f"{found['name']}={found['default']}"


def run(
    pipeline: Annotated[str, Parameter(help="Its name, or module:name.")],
    /,
    *,
    params: Annotated[
        list[str] | None,
        Parameter(name=["--param", "-p"], negative=(), help="A parameter as name=value."),
    ] = None,
    register: Annotated[
        str | None, Parameter(help="Make the result a candidate version of this model.")
    ] = None,
    start: Annotated[
        str | None,
        Parameter(name="--from", help="Run this step and those after it, reusable or not."),
    ] = None,
    only: Annotated[
        str | None,
        Parameter(help="Run this step alone, on what the steps it needs gave last."),
    ] = None,
    smoke: Annotated[
        bool, Parameter(negative=(), help="Only show that all of it works, on a small sample.")
    ] = False,
    smoke_rows: Annotated[
        int, Parameter(help="To how many rows a smoke run cuts what comes in.")
    ] = 200,
    view: View = PLAIN,
    options: Everywhere = HERE,
) -> int:
    """Run a pipeline, step by step, reusing what has not changed. Exit code 1 if a step fails.

    With --smoke the tables that its first steps bring in are cut to a sample, so that the whole
    of it runs in seconds with the same code; how it ended is evidence on the pipeline.
    """
    view.check(options)
    given = dict(pair(text) for text in params or [])
    asked = {"pipeline": pipeline, "params": given, "register": register, "start": start}
    asked |= {"only": only} if only else {}
    smoked = {"smoke": smoke_rows} if smoke else {}
    with asking(options, create=True) as house:
        if isinstance(house, Local):
            house.workspace.warm()  # it starts while we import what asks it
        name = house.call("pipelines.run", **asked, **smoked)["run"]
        return to_the_end(house, name, options, view)


def resume(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    code: Annotated[
        Literal["planned", "now"],
        Parameter(help="With the code it was planned with, or as the project is now."),
    ] = "planned",
    view: View = PLAIN,
    options: Everywhere = HERE,
) -> int:
    """Go on with a run that failed, was cancelled or interrupted. Exit code 1 if it fails again.

    Its code must be as it was, unless --code now says that what is left runs with the project
    as it is now; `why` then names the lines that differ.
    """
    view.check(options)
    with asking(options) as house:
        if isinstance(house, Local):
            house.workspace.warm()
        name = full_id(house, run)
        house.call("runs.resume", run=name, code=code)
        return to_the_end(house, name, options, view)


def rerun(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    start: Annotated[
        str | None,
        Parameter(
            name="--from",
            help="Run this step and those after it anew; all others stay what they were then.",
        ),
    ] = None,
    view: View = PLAIN,
    options: Everywhere = HERE,
) -> int:
    """Run a pipeline again with the params of a run. Exit code 1 if a step fails.

    With --from the steps before are taken from that very run, even if newer results exist.
    """
    view.check(options)
    with asking(options) as house:
        if isinstance(house, Local):
            house.workspace.warm()
        name = house.call("runs.rerun", run=full_id(house, run), start=start)["run"]
        return to_the_end(house, name, options, view)


def follow(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    view: View = PLAIN,
    options: Everywhere = HERE,
) -> int:
    """Follow a run that others carry out, to its end. Exit code 1 if it does not end well.

    Ctrl-C stops looking; the run goes on.
    """
    view.check(options)
    with asking(options) as house:
        return to_the_end(house, full_id(house, run), options, view, ours=False)


def cancel(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Stop a run: what has not begun never does, what runs is ended. It can be resumed."""
    with asking(options) as house:
        name = full_id(house, run)
        done = house.call("runs.cancel", run=name)
        if isinstance(house, Local):  # there may be no engine up that would end it
            from mainspring.workspace import engines

            engines.drive(house.workspace, name)
    render.said(options, done | {"run": name}, f"{name} is cancelled.")


def pair(text: str) -> tuple[str, str]:
    """Return the name and the value of a parameter that is written name=value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInputError(
            f"A parameter is written name=value, found {text!r}.",
            field="param",
            hint="For example -p trees=80.",
        )
    return name, value
