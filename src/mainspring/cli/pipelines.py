"""Pipelines: list them, and run one while showing how far each step is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id
from mainspring.cli.showing import failure
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

POLL_S = 0.3
SOON_S = 60.0  #: what a run waits for longer than that, its follower does not wait for
Steps = list[dict[str, Any]]


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
    options: Everywhere = HERE,
) -> int:
    """Run a pipeline, step by step, reusing what has not changed. Exit code 1 if a step fails.

    With --smoke the tables that its first steps bring in are cut to a sample, so that the whole
    of it runs in seconds with the same code; how it ended is evidence on the pipeline.
    """
    given = dict(pair(text) for text in params or [])
    asked = {"pipeline": pipeline, "params": given, "register": register, "start": start}
    asked |= {"only": only} if only else {}
    smoked = {"smoke": smoke_rows} if smoke else {}
    with asking(options, create=True) as house:
        if isinstance(house, Local):
            house.workspace.warm()  # it starts while we import what asks it
        name = house.call("pipelines.run", **asked, **smoked)["run"]
        return to_the_end(house, name, options)


def resume(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    code: Annotated[
        Literal["planned", "now"],
        Parameter(help="With the code it was planned with, or as the project is now."),
    ] = "planned",
    options: Everywhere = HERE,
) -> int:
    """Go on with a failed or cancelled run from where it broke. Exit code 1 if it fails again.

    Its code must be as it was, unless --code now says that what is left runs with the project
    as it is now; `why` then names the lines that differ.
    """
    with asking(options) as house:
        if isinstance(house, Local):
            house.workspace.warm()
        name = full_id(house, run)
        house.call("runs.resume", run=name, code=code)
        return to_the_end(house, name, options)


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
    options: Everywhere = HERE,
) -> int:
    """Run a pipeline again with the params of a run. Exit code 1 if a step fails.

    With --from the steps before are taken from that very run, even if newer results exist.
    """
    with asking(options) as house:
        if isinstance(house, Local):
            house.workspace.warm()
        name = house.call("runs.rerun", run=full_id(house, run), start=start)["run"]
        return to_the_end(house, name, options)


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


def to_the_end(house: Local | Remote, name: str, options: Everywhere) -> int:
    """Follow a run to its end, or to where it waits, and tell what came of it.

    Returns the exit code: 0 if it finished or waits, else 1.
    """
    detail = followed(house, name, options)
    versions = [_judged(house, one) for one in detail["versions"]]
    return _told(options, detail, versions)


def _told(options: Everywhere, detail: dict[str, Any], versions: list[dict[str, Any]]) -> int:
    render.answer(options, detail | {"judged": versions}, lambda out: _end(out, detail, versions))
    return 0 if detail["run"]["status"] in ("finished", "running") else 1


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


def followed(house: Local | Remote, name: str, options: Everywhere) -> dict[str, Any]:
    """Return a run's detail at its end, showing its steps on the way."""
    display = _display(options)
    return _far(house, name, display) if isinstance(house, Remote) else _here(house, name, display)


def _here(house: Local, name: str, display: Display) -> dict[str, Any]:
    from mainspring.workspace import engines

    with display:

        def changed(_: Any, steps: list[Any]) -> None:
            display.show(msgspec.to_builtins(steps))

        engines.drive(house.workspace, name, changed)
    detail: dict[str, Any] = house.call("runs.get", run=name)
    return detail


def _far(house: Remote, name: str, display: Display) -> dict[str, Any]:
    seen: Steps = []
    with display:
        while True:
            detail: dict[str, Any] = house.call("runs.get", run=name)
            display.show(detail["steps"])
            if detail["run"]["status"] != "running":
                return detail
            if detail["steps"] == seen and _only_waits(house, detail):
                return detail
            seen = detail["steps"]
            time.sleep(POLL_S)


def _only_waits(house: Remote, detail: dict[str, Any]) -> bool:
    """Return whether no step of a run works, and one waits for news or for more than a minute."""
    working = [one for one in detail["steps"] if one["state"] == "running"]
    waits = [one for one in working if one["kind"] in ("approval", "event", "wait")]
    if not waits or any(one["kind"] in ("step", "run", "dynamic") for one in working):
        return False
    found = house.call("waits.list", run=detail["run"]["id"])
    soon = time.time() + SOON_S  # noqa: TID251  the machine's clock, as people see it
    return bool(found) and all((one["expires"] or soon) >= soon for one in found)


def _judged(house: Local | Remote, name: str) -> dict[str, Any]:
    """Return what the gate said of a version that the run made."""
    model, _, number = name.rpartition("/")
    gates = house.call("models.version", model=model, number=int(number))["gates"]
    return {"version": name, "gate": gates[0] if gates else None}


def _end(out: Console, detail: dict[str, Any], versions: list[dict[str, Any]]) -> None:
    for step in detail["steps"]:
        if step["why"]:
            out.print(render.plain(f"why {step['step']}: {step['why']}"))
        if step["state"] == "failed":
            out.print(f"\n{step['step']} failed:\n{failure(step)}")
    run = detail["run"]
    if run["metrics"]:
        out.print(render.plain(f"metrics: {render.figures(run['metrics'], most=12)}"))
    for version in versions:
        gate = version["gate"]
        verdict = "not judged yet" if gate is None else "passed" if gate["passed"] else "refused"
        out.print(f"version {version['version']}: gate {verdict}")
        for check in gate["checks"] if gate else []:
            if not check["passed"]:
                told = f"  {check['name']}: found {check['found']}, wanted {check['wanted']}"
                out.print(render.plain(told))
    if run["status"] == "running":
        out.print(f"run {run['id']} waits; see mainspring waiting {run['id']}")
        return
    took = render.took(run["started"], run["ended"])
    out.print(f"run {run['id']} {run['status']} in {took}", style=render.COLOURS[run["status"]])


class Display:
    """Shows how far the steps are: a live table on a terminal, else a line per change."""

    def __init__(self, draw: Callable[[Steps], None], around: AbstractContextManager[Any]) -> None:
        self._draw = draw
        self._around = around

    def __enter__(self) -> Display:
        self._around.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self._around.__exit__(*what)

    def show(self, steps: Steps) -> None:
        """Show the steps as they now are."""
        self._draw(steps)


def _display(options: Everywhere) -> Display:
    if options.json:
        return Display(lambda _: None, nullcontext())
    if not sys.stdout.isatty():
        told: dict[str, str] = {}
        return Display(lambda steps: _lines(steps, told), nullcontext())
    from rich.live import Live

    live = Live(console=render.console(), refresh_per_second=10)
    return Display(lambda steps: live.update(_table(steps)), live)


def _lines(steps: Steps, told: dict[str, str]) -> None:
    for step in steps:
        state = step["state"]
        if state not in ("waiting", told.get(step["step"])):
            told[step["step"]] = state
            took = f"  {step['wall_s']:.2f} s" if step["ended"] and state == "done" else ""
            sys.stdout.write(render.plain(f"{step['step']:<24} {state}{took}\n"))
    sys.stdout.flush()


def _table(steps: Steps) -> Any:
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for step in steps:
        state = step["state"]
        mark: Any = Text(state, style=render.COLOURS.get(state, ""))
        if state == "running":
            mark = Spinner("dots", text="running", style="yellow")
        took = f"{step['wall_s']:.2f} s" if step["ended"] else ""
        drawn.add_row(render.plain(step["step"]), mark, took)
    return drawn
