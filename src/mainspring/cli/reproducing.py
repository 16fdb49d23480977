"""Make a pipeline's run again in a clean place, show how far it is, and say what came of it."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.busy import busy
from mainspring.cli.models import reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError, StepFailedError

if TYPE_CHECKING:
    from rich.console import Console

POLL_S = 0.3
_OVER = ("done", "failed", "skipped", "cancelled")
_CODES = {"identical": 0, "equal within tolerance": 0, "different": 1, "cannot": 2}
_COLOURS = {"identical": "green", "equal within tolerance": "green", "cannot": "red"}


def reproduce(
    what: Annotated[
        str, Parameter(help="A run's id, its first characters or 'last'; MODEL/N; MODEL@ALIAS.")
    ],
    /,
    *,
    runs: Annotated[int, Parameter(help="How often to run it.")] = 1,
    tolerance: Annotated[
        float, Parameter(help="Relative difference up to which numbers count as equal.")
    ] = 0.01,
    here: Annotated[
        bool, Parameter(negative=(), help="Take what is installed here, and say how it differs.")
    ] = False,
    rebuild: Annotated[
        bool, Parameter(negative=(), help="Build the environment even if the same is here.")
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Make a pipeline's run again in a clean place, and say whether the same came of it.

    Its code is made again from what the run kept, its data are the objects it read, its
    environment is built from its lock unless exactly that is installed here; nothing is reused.
    Step by step the verdict is identical (the same bytes), equal within tolerance (numbers and
    metrics), or different and where. It is kept on the run and on the version it made. Exit code
    0 if it is the same, 1 if not, 2 if it cannot be made again. With --url the server does it;
    Ctrl-C stops it, there too.
    """
    if runs < 1 or not 0 <= tolerance < 1:
        raise BadInputError(
            f"runs must be 1 or more and tolerance from 0 to below 1, found {runs} and"
            f" {tolerance}.",
            field="runs" if runs < 1 else "tolerance",
        )
    if here and rebuild:
        raise BadInputError("--here and --rebuild are two ways; take one.", field="here")
    asked = {"runs": runs, "tolerance": tolerance, "here": here, "rebuild": rebuild}
    with asking(options) as house:
        try:
            begun = _begun(house, what, asked)
        except (ConflictError, NotFoundError) as error:  # exit code 1 would say that it differs
            raise BadInputError(error.message, field=error.field, hint=error.hint) from error
        try:
            found = _followed(house, begun["task"], options)
        except KeyboardInterrupt:
            with suppress(ConflictError):  # it came to its end meanwhile
                house.call("proofs.cancel", task=begun["task"])
            _say("stopped; nothing is said of the run")
            raise
    made = found["evidence"]
    if found["state"] == "cancelled":
        raise StepFailedError(f"Making {what} again was cancelled; nothing is said of it.")
    if made is None:
        told = f"{what} could not be compared: {found['error'] or found['state']}"
        raise StepFailedError(told)
    render.answer(options, made, lambda out: draw(out, made))
    return _CODES[made["detail"]["verdict"]]


def draw(out: Console, made: dict[str, Any]) -> None:
    """Print what came of making a run again."""
    detail = made["detail"]
    for step in detail.get("steps", []):
        same = all(one == step["was"] for one in step["now"])
        where = f" {step['where']}" if step.get("where") else ""
        out.print(render.plain(f"  {step['step']:<24} {'same' if same else 'other'} bytes{where}"))
    if detail.get("environment"):
        out.print(render.plain(f"environment: {detail['environment']}"))
    for line in detail.get("packages", []):
        out.print(render.plain(f"  package {line}"))
    for line in detail.get("notes", []):
        out.print(render.plain(f"note: {line}"))
    for line in detail.get("hints", []):
        out.print(render.plain(f"hint: it takes {line}"))
    verdict = detail["verdict"]
    told = made["found"] if verdict == "cannot" else f"{verdict}: {made['found']}"
    out.print(render.plain(told), style=_COLOURS.get(verdict, "yellow"))
    out.print(render.plain(made["id"]))


def _begun(house: Local | Remote, what: str, asked: dict[str, Any]) -> dict[str, Any]:
    model, at, alias = what.partition("@")
    if at:
        found = house.call("models.get", model=model)["aliases"]
        if alias not in found:
            raise NotFoundError(f"Model {model} has no alias {alias!r}.", field="version")
        what = f"{model}/{found[alias]}"
    if "/" in what:
        model, number = reference(what)
        return dict(house.call("proofs.reproduce", model=model, number=number, **asked))
    return dict(house.call("proofs.remake", run=full_id(house, what), **asked))


def _followed(house: Local | Remote, task: str, options: Everywhere) -> dict[str, Any]:
    """Return how it ended, showing on standard error how far each step of each run is."""
    quiet = options.json
    if not quiet:
        _say("making code and environment again")
    if isinstance(house, Local):
        from mainspring.workspace import engines

        with busy(options, "building"):
            engines.settle(house.workspace, task)
    told: dict[tuple[str, str], str] = {}
    driven = False
    while True:
        found: dict[str, Any] = house.call("proofs.reproduction", task=task)
        if found["state"] in _OVER and (found["evidence"] or found["state"] != "done"):
            return found
        if isinstance(house, Local) and found["runs"] and not driven:
            driven = True
            for run in found["runs"]:
                _driven(house, run, told, quiet=quiet)
            continue
        for run in [] if quiet else found["runs"]:
            _show(run, house.call("runs.get", run=run)["steps"], told)
        time.sleep(POLL_S)


def _driven(house: Local, run: str, told: dict[tuple[str, str], str], *, quiet: bool) -> None:
    import msgspec

    from mainspring.workspace import engines

    def changed(_: Any, steps: list[Any]) -> None:
        if not quiet:
            _show(run, msgspec.to_builtins(steps), told)

    engines.drive(house.workspace, run, changed)


def _show(run: str, steps: list[dict[str, Any]], told: dict[tuple[str, str], str]) -> None:
    for step in steps:
        state = step["state"]
        if state not in ("waiting", told.get((run, step["step"]))):
            told[run, step["step"]] = state
            took = f"  {step['wall_s']:.2f} s" if state == "done" else ""
            _say(f"{step['step']:<24} {state}{took}")


def _say(text: str) -> None:
    sys.stderr.write(render.plain(f"{text}\n"))
    sys.stderr.flush()
