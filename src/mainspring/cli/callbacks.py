"""Answer a step that waits for a callback, with the token that its run handed out."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.cli.waits import json_of
from mainspring.ground.errors import BadInputError


def answer(
    token: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True,
            help="The token; '-' reads it from standard input: no list of processes has it.",
        ),
    ],
    /,
    *,
    value: Annotated[str | None, Parameter(help="What came, as JSON: the step's result.")] = None,
    fail: Annotated[str, Parameter(help="What went wrong instead: the step fails.")] = "",
    error_type: Annotated[
        str, Parameter(help="The type of that, as ms.catch knows it.")
    ] = "CallbackFailed",
    alive: Annotated[
        bool, Parameter(negative=(), help="No answer yet: the work goes on, wait for it longer.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Answer a run that waits for a callback, once; whoever has its token may, without a login.

    The answer is kept at once. The run goes on with `mainspring up`, or with whoever drives it.
    """
    shown = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105  the pipe's sign
    if not shown:
        raise BadInputError("There is no token on standard input.", field="token")
    if alive and (value is not None or fail):
        raise BadInputError(
            "A sign of life brings no answer.",
            field="alive",
            hint="Leave out the one or the other.",
        )
    with asking(options) as house:
        if alive:
            found = house.call("callbacks.alive", token=shown)
            until = "for as long as it takes" if found["until"] is None else _until(found)
            render.said(options, found, f"It waits {until}.")
            return
        brought = {"error": fail, "error_type": error_type} if fail else {}
        done = house.call("callbacks.answer", token=shown, value=json_of(value), **brought)
        told = f"{done['step']} of {done['run']} is answered."
        render.said(options, done, told, f"If nobody drives it: mainspring resume {done['run']}")


def _until(found: dict[str, Any]) -> str:
    from mainspring.ground.clock import iso

    return f"until {iso(found['until'])}"
