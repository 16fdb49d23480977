"""Run a notebook as a tracked run."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import settings_of
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import slug

if TYPE_CHECKING:
    from mainspring.ground.settings import Settings
    from mainspring.pipelines.notebooks import Executed, Progress
    from mainspring.workspace.tracking.active import ActiveRun


def run(
    notebook: Annotated[Path, Parameter(help="The .ipynb file.")],
    /,
    *,
    params: Annotated[
        list[str] | None,
        Parameter(
            name=["--param", "-p"],
            negative=(),
            help="A param as name=value, put into the notebook.",
        ),
    ] = None,
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help="Write the executed notebook here too.")
    ] = None,
    experiment: Annotated[
        str | None, Parameter(help="The experiment of the run; the notebook's name by default.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Run a notebook from end to end as a tracked run, and keep it with its outputs.

    Params are put in behind the cell tagged 'parameters'; a value is a Python literal, else
    text. Exit code 1 if a cell fails; the notebook is kept as far as it came.
    """
    from mainspring.pipelines import notebooks
    from mainspring.workspace.tracking.active import ActiveRun
    from mainspring.workspace.tracking.planning import plan_of
    from mainspring.workspace.tracking.writing import target_of

    found = notebooks.read(notebook)
    given = {name: notebooks.value(text) for name, text in map(pair, params or [])}
    if out is not None and not out.absolute().parent.is_dir():
        raise BadInputError(f"There is no folder {out.absolute().parent}.", field="out")
    notebooks.inject(found, given)
    settings = settings_of(options)
    plan = plan_of(
        experiment or slug(notebook.stem, "notebook"),
        notebook.stem[:250],
        given,
        {"mainspring.notebook": notebook.name},
        None,
        None,
        None,
        capture=True,
    )
    with ActiveRun(plan, target_of(settings)) as tracked, _progress(options) as told:
        environ = _environ(settings, tracked)
        done = notebooks.execute(found, notebook.absolute().parent, environ, told)
        tracked.log_bytes(done.notebook, f"{slug(notebook.stem, 'notebook')}.ipynb")
        if out is not None:
            out.write_bytes(done.notebook)
        if done.error:
            tracked.tag({"mainspring.error": done.error})
            tracked.end("failed")
    return _told(options, tracked, done)


def _environ(settings: Settings, tracked: ActiveRun) -> dict[str, str]:
    """Return the kernel's environment: runs it begins are children, ``ms.log`` joins the run."""
    from mainspring.workspace.tracking.joining import VARIABLE, introduction

    given = {"HOME": settings.home, "URL": settings.url, "TOKEN": settings.token}
    ours = {f"MAINSPRING_{name}": value for name, value in given.items() if value}
    return {**os.environ, **ours, VARIABLE: introduction(tracked)}


def _told(options: Everywhere, tracked: ActiveRun, done: Executed) -> int:
    status = "failed" if done.error else "finished"
    document: dict[str, Any] = {
        "run": tracked.id,
        "status": status,
        "cells": done.cells,
        "done": done.done,
        "error": done.error or None,
    }
    lines = [done.trace.rstrip(), done.error] if done.error else []
    lines.append(f"run {tracked.id} {status}: {done.done} of {done.cells} cells")
    render.said(options, document, *lines)
    return 1 if done.error else 0


class _Bar(AbstractContextManager["Progress"]):
    """A bar of cells on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("cell"), MofNCompleteColumn(), BarColumn())
        self._bar = Progress(*columns, console=render.console(stderr=True), transient=True)
        self._task = self._bar.add_task("cell", total=None)

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return lambda cell, of: self._bar.update(self._task, completed=cell, total=of)

    def __exit__(self, *what: Any) -> None:
        self._bar.__exit__(*what)


def _progress(options: Everywhere) -> AbstractContextManager[Progress | None]:
    """Return what shows how far it is: a bar on a terminal, else a line a cell."""
    if options.json:
        return nullcontext(None)
    if sys.stderr.isatty():
        return _Bar()

    def line(cell: int, of: int) -> None:
        sys.stderr.write(f"cell {cell} of {of}\n")
        sys.stderr.flush()

    return nullcontext(line)
