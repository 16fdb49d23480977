"""Move a project: write it into one file, and take such a file in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.keeping import progress
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, settings_of
from mainspring.ground.errors import BadInputError


def export(
    file: Annotated[str, Parameter(help="The file to write, such as project.msar.")],
    /,
    *,
    experiment: Annotated[
        list[str] | None, Parameter(help="Only this experiment with its runs; may be repeated.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Write a project, with all its objects, into one file.

    Tokens, secrets, schedules, work under way and captured traffic are not in it.
    """
    house = _here(options, create=False)
    try:
        from mainspring.workspace.archive.writing import export as write

        with progress(shown=not options.json) as tell:
            done = write(house.workspace, Path(file), only=experiment or (), tell=tell)
    finally:
        house.close()
    lines = [
        f"{done.runs} runs, {done.rows} rows and {done.objects} objects are in {done.path}"
        f" ({render.size(done.size)})",
        f"sha256 {done.sha256}",
    ]
    if done.missing:
        lines.append(f"{done.missing} artifacts had lost their bytes before; they are not in it")
    if done.unfinished:
        lines.append(f"{done.unfinished} tasks are under way and not in it")
    render.said(options, msgspec.to_builtins(done), *lines)


def import_archive(
    file: Annotated[str, Parameter(help="A file that mainspring export wrote.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Take a project in, beside what is there: all of it, or nothing."""
    house = _here(options, create=True)
    try:
        from mainspring.workspace.archive.taking import take_in

        with progress(shown=not options.json) as tell:
            done = take_in(house.workspace, Path(file), tell=tell)
    finally:
        house.close()
    lines = [f"{done.added} rows were added, {done.same} were there already"]
    lines.append(f"{done.objects} objects are kept")
    if done.unfinished:
        lines.append(f"{done.unfinished} tasks were under way where it came from; start them anew")
    render.said(options, msgspec.to_builtins(done), *lines)


def _here(options: Everywhere, *, create: bool) -> Local:
    settings = settings_of(options)
    if settings.url:
        raise BadInputError(
            "An archive is written and read where the home is, not over a URL.",
            field="url",
            hint="Run this on the server's machine, with --home.",
        )
    return Local(settings, create=create)
