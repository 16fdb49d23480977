"""Import what MLflow wrote: a folder, a database or a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Remote, asking
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 20  #: problems that people see at once


def mlflow(
    uri: Annotated[
        str, Parameter(help="A folder such as ./mlruns, sqlite:///mlflow.db, or http://HOST:PORT.")
    ],
    /,
    *,
    artifacts: Annotated[
        str | None, Parameter(help="The folder in which a server kept mlflow-artifacts:.")
    ] = None,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Only say what would be brought.")
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Bring everything over: runs with their whole history and files, and registered models.

    A second time it adds only what is new. Exit code 1 if something could not be brought.
    """
    with asking(options, create=True) as house:
        if isinstance(house, Remote):
            raise BadInputError(
                "An import writes to a home; run it where that is, without --url.",
                field="url",
                hint="A server keeps serving its home meanwhile.",
            )
        from mainspring.workspace.importing.bringing import bring, open_source

        opened = open_source(uri, house.workspace.home / "run", artifacts)
        try:
            with _bar(options) as progress:
                report = bring(house.workspace, opened, dry_run=dry_run, progress=progress)
        finally:
            opened.store.close()
    found = msgspec.to_builtins(report)
    render.answer(options, found, lambda out: _draw(out, found))
    return 1 if found["problems"] else 0


class _bar:  # noqa: N801  a context, used as a function
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, options: Everywhere) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        out = render.console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        off = options.json or not out.is_terminal
        self._progress = Progress(*columns, console=out, transient=True, disable=off)
        self._task = self._progress.add_task("runs", total=None)

    def __enter__(self) -> Any:
        self._progress.start()
        return self._told

    def __exit__(self, *what: object) -> None:
        self._progress.stop()

    def _told(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total or None)


def _draw(out: Console, found: dict[str, Any]) -> None:
    names = ("experiments", "runs", "logged_models", "models", "versions", "aliases")
    rows = [
        (name.replace("_", " "), found["new"].get(name, 0), found["known"].get(name, 0))
        for name in names
    ]
    rows += [("metric points", found["points"], ""), ("files", found["files"], "")]
    rows += [("size of files", render.size(found["bytes"]), "")]
    new = "WOULD BE NEW>" if found["dry_run"] else "NEW>"
    render.table(out, ("", new, "HERE BEFORE>"), rows)
    problems = found["problems"]
    if problems:
        out.print(f"\n{len(problems) + found['more_problems']} could not be brought:")
    for one in problems[:_SHOWN]:
        out.print(render.plain(f"  {one['what']}: {one['why']}"))
    if len(problems) > _SHOWN:
        out.print("  ... all of them with --json")
