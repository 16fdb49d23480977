"""Write a working project for a user's own table: ``mainspring init``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.template import function_name, project_text, quoted, tests_text
from mainspring.ground.errors import AlreadyExistsError, BadInputError
from mainspring.ground.identity import check_name, slug
from mainspring.ground.settings import FILE

if TYPE_CHECKING:
    import polars as pl

    from mainspring.cli.columns import Described

SETTINGS = """# Settings of the project {name}. See what is in force: mainspring config
# port = 8750
# workers = 2
"""


def init(
    file: Annotated[
        Path | None, Parameter(help="A CSV or Parquet file with one row a case.")
    ] = None,
    /,
    *,
    target: Annotated[str | None, Parameter(help="The column to be predicted.")] = None,
    time: Annotated[
        str | None, Parameter(help="The column that says when a row happened.")
    ] = None,
    name: Annotated[str | None, Parameter(help="Default: the file's name.")] = None,
    folder: Annotated[
        Path, Parameter(name="--dir", help="Where to write the project; made if missing.")
    ] = Path(),
    options: Everywhere = HERE,
) -> None:
    """Write a working project for your own table: load, validate, train, gate, serve, watch.

    What is missing is asked for on a terminal.
    """
    from mainspring.cli.columns import describe
    from mainspring.workspace.tables import read

    if file is None:
        raise BadInputError(
            "Which table is to be learnt from?",
            field="file",
            hint="Give a CSV or Parquet file: mainspring init churn.csv --target churned."
            " To see a loop without one: mainspring demo",
        )
    name = check_name(name) if name else slug(file.stem)
    project, tests = folder / "project.py", folder / "test_project.py"
    for path in (project, tests, folder / FILE):
        if path.exists():
            raise AlreadyExistsError(
                f"{path} is there already.", hint="Write into another folder with --dir."
            )
    frame = read(file)
    asking = sys.stdin.isatty() and not options.json
    if target is None:
        target = _asked(frame, asking)
        time = time or _asked_time(frame, target, asking)
    found = describe(frame, target, time)
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder.", field="dir")
    folder.mkdir(parents=True, exist_ok=True)
    project.write_text(project_text(found, name, _path_text(file, folder)), "utf-8")
    tests.write_text(tests_text(), "utf-8")
    (folder / FILE).write_text(SETTINGS.format(name=name), "utf-8")
    _tell(options, found, name, project)


def _tell(options: Everywhere, found: Described, name: str, project: Path) -> None:
    pipeline = function_name(name)
    left_out = {"columns": found.columns, "left_out": found.left_out}
    document = {"project": str(project), "name": name, "pipeline": pipeline, "rows": found.rows}
    document |= {"kind": found.kind, "target": found.target, "time": found.time, **left_out}
    here = project.parent.resolve() == Path.cwd()
    there = "" if here else f"cd {shlex.quote(str(project.parent))} && "
    render.said(
        options,
        document,
        f"{project}: {found.kind} of {found.target} from {len(found.columns)} columns,"
        f" {found.rows} rows.",
        *(f"left out: {column} ({why})" for column, why in found.left_out.items()),
        f"Train it:        {there}mainspring run {pipeline}",
        f"Test it:         {there}mainspring test",
        f"Close the loop:  {there}mainspring up",
    )


def _path_text(file: Path, folder: Path) -> str:
    """Return the Python text that finds the table from the project."""
    there, here = file.expanduser().resolve(), folder.resolve()
    if there.is_relative_to(here):
        return quoted(str(there.relative_to(here)))  # a step runs in the project's folder
    return quoted(str(there))


def _asked(frame: pl.DataFrame, asking: bool) -> str:
    columns = ", ".join(frame.columns[:60])
    if not asking:
        raise BadInputError(
            "Which column is to be predicted?",
            field="target",
            hint=f"Name it with --target. There are: {columns}.",
        )
    sys.stdout.write(render.plain(f"Columns: {columns}\n"))
    return _line("Which column is to be predicted? ")


def _asked_time(frame: pl.DataFrame, target: str, asking: bool) -> str | None:
    from mainspring.cli.columns import times_in

    possible = [column for column in times_in(frame) if column != target]
    if not asking or not possible:
        return None
    sys.stdout.write(render.plain(f"Columns of time: {', '.join(possible)}\n"))
    return _line("Which says when a row happened? (empty: none) ") or None


def _line(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip()
