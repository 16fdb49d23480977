"""Steps that wait: list them, approve or reject them, bring them news."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.ended import to_the_end
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_RUN = Parameter(help="The run's id, its first characters, or 'last'.")
_WHY = Parameter(help="Why: it is kept with the answer.")


def waiting(run: Annotated[str | None, _RUN] = None, /, *, options: Everywhere = HERE) -> None:
    """List the steps that wait for a person, an event or a time; of one run, or of all."""
    with asking(options) as house:
        name = None if run is None else full_id(house, run)
        found = house.call("waits.list", **({} if name is None else {"run": name}))

    def draw(out: Console) -> None:
        rows = [
            (one["run"], one["step"], one["kind"], one["message"], _moment(one["expires"]))
            for one in found
        ]
        render.table(out, ("RUN", "STEP", "FOR", "", "UNTIL"), rows, "No step waits.")

    render.answer(options, found, draw)


def approve_step(
    run: Annotated[str, _RUN],
    step: Annotated[str, Parameter(help="The step that asks.")],
    /,
    *,
    reason: Annotated[str, _WHY],
    options: Everywhere = HERE,
) -> int:
    """Say yes to a step that waits for an approval, and let its run go on."""
    return _answered("waits.approve", run, step, reason, options)


def reject_step(
    run: Annotated[str, _RUN],
    step: Annotated[str, Parameter(help="The step that asks.")],
    /,
    *,
    reason: Annotated[str, _WHY],
    options: Everywhere = HERE,
) -> int:
    """Say no to a step that waits for an approval: it fails, or goes on as it was declared."""
    return _answered("waits.reject", run, step, reason, options)


def signal(
    name: Annotated[str, Parameter(help="The event's name.")],
    /,
    *,
    run: Annotated[str, _RUN],
    value: Annotated[str | None, Parameter(help="What came, as JSON: the step's result.")] = None,
    error: Annotated[str, Parameter(help="What went wrong instead: the step fails.")] = "",
    error_type: Annotated[str, Parameter(help="Its type, as ms.catch knows it.")] = "EventFailed",
    options: Everywhere = HERE,
) -> int:
    """Bring news of an event to a run that waits for it, and let it go on."""
    told = json_of(value)
    with asking(options) as house:
        full = full_id(house, run)
        news = {"error": error, "error_type": error_type} if error else {}
        done = house.call("waits.signal", run=full, name=name, value=told, **news)
        return _goes_on(house, full, done, options)


def json_of(value: str | None) -> Any:
    """Return what ``--value`` holds.

    Raises:
        BadInputError: if it is no JSON.
    """
    try:
        return None if value is None else json.loads(value)
    except ValueError as error:
        raise BadInputError(
            f"--value must be JSON, found {value!r:.80}.",
            field="value",
            hint="Text is written with quotes: --value '\"ready\"'.",
        ) from error


def _answered(operation: str, run: str, step: str, reason: str, options: Everywhere) -> int:
    with asking(options) as house:
        full = full_id(house, run)
        done = house.call(operation, run=full, step=step, reason=reason)
        return _goes_on(house, full, done, options)


def _goes_on(house: Local | Remote, run: str, done: dict[str, Any], options: Everywhere) -> int:
    """Carry the run on here where no server does it; there may be no engine up."""
    if isinstance(house, Remote):
        render.said(options, done | {"run": run}, f"{run} goes on.")
        return 0
    return to_the_end(house, run, options)


def _moment(at: float | None) -> str:
    from mainspring.ground.clock import iso

    return "" if at is None else iso(at)
