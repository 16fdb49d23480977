"""Explain a window: what it is told apart from its reference by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console


def explain(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    window: Annotated[
        str | None,
        Parameter(help="The window's id, as --json of monitor lists them; the newest without it."),
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Say which columns a window is told apart from its reference by.

    A classifier learns to tell the window's rows from those that the version was measured on.
    What it needs for that has moved, alone or together with others.
    """
    found = call(options, "monitor.explain", endpoint=endpoint, window=window)

    def draw(out: Console) -> None:
        out.print(found["why"])
        rows = [(one["column"], one["share"], one["loss"]) for one in found["columns"][:20]]
        if rows:
            out.print("")
            render.table(out, ("COLUMN", "SHARE>", "AREA LOST WITHOUT IT>"), rows)

    render.answer(options, found, draw)
