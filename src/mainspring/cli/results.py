"""What a run returned, or a step of it: shown, and written into files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, asking
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError


def result(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")] = "last",
    step: Annotated[
        str | None, Parameter(help="A step of it; without one, what the pipeline returns.")
    ] = None,
    /,
    *,
    to: Annotated[Path | None, Parameter(help="A folder that it is written into.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Show what a run returned, or a step of it: plain values whole, of tables their size.

    With --to it is written into a folder: tables as Parquet, files and folders as they were.
    """
    with asking(options) as house:
        if to is not None and not isinstance(house, Local):
            raise BadInputError(
                "Files are written from the home itself, and a server is asked.",
                field="to",
                hint="Leave --to out, or run this where the home is, without --url.",
            )
        found = house.call("runs.result", run=full_id(house, run), step=step)
        place = None
        if to is not None and isinstance(house, Local):
            from mainspring.workspace.views import returned

            told = returned.returned(house.workspace, found["run"], step)
            place = str(returned.write(house.workspace, told, to))
    lines = [found["words"]] if place is None else [found["words"], f"written to {place}"]
    render.said(options, found | {"written": place}, *lines)
