"""Batch: score tables of any size with a version, and watch the rows like traffic."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from mainspring.cli import render
from mainspring.cli.feeds import draw_windows, judged_of
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Remote, asking
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from mainspring.workspace.batches.running import Scored
    from mainspring.workspace.feeding.naming import Columns

_WATCHED = Group("Watching", help="What is scored may be watched like traffic.", sort_key=52)


@Parameter(name="*", group=_WATCHED)
@dataclass(frozen=True)
class Fed:
    """Which monitor watches a scored file, and as what."""

    endpoint: Annotated[
        str | None,
        Parameter(name=["--endpoint", "--monitor"], help="The monitor that rows are fed to."),
    ] = None
    batch: Annotated[
        str | None, Parameter(help="Your own name of the rows; default: rows and version.")
    ] = None
    judge: Annotated[bool, Parameter(negative=(), help="Judge what is over now, and show it.")] = (
        False
    )
    id_column: Annotated[str | None, Parameter(help="Your own prediction ids.")] = None
    time_column: Annotated[str | None, Parameter(help="Event time.")] = None
    label_column: Annotated[str | None, Parameter(help="The truth, where known.")] = None

    def columns(self) -> Columns:
        """Return which column is what; without a monitor nothing may be said of it."""
        from mainspring.workspace.feeding.naming import Columns

        alone = [key for key, value in vars(self).items() if value]
        if self.endpoint is None and alone:
            raise BadInputError(
                f"--{alone[0].replace('_', '-')} says something of rows that are fed.",
                field=alone[0],
                hint="Name the monitor with --endpoint, or leave it out.",
            )
        return Columns(id=self.id_column, time=self.time_column, label=self.label_column)


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """How rows are scored."""

    query: Annotated[str | None, Parameter(help="What the database is asked.")] = None
    bad_rows: Annotated[
        Path | None,
        Parameter(help="Rows that cannot be scored go here (JSON lines), and do not end the run."),
    ] = None
    workers: Annotated[int | None, Parameter(help="Threads that score; default: up to 4.")] = None
    fresh: Annotated[
        bool, Parameter(negative=(), help="Begin anew, and replace what another run made.")
    ] = False


ALONE, USUAL = Fed(), How()


def batch(
    version: Annotated[str, Parameter(help="MODEL/7 or MODEL@champion.")],
    source: Annotated[
        str,
        Parameter(
            name="IN",
            help="The rows: a file (CSV, JSON lines, Parquet), a folder of them, a pattern such as"
            " 'day-*.csv', or the address of a database (sqlite:///FILE) with --query.",
        ),
    ],
    /,
    out: Annotated[
        Path,
        Parameter(help="Where the scored rows go: .csv, .parquet, .jsonl; a folder without that."),
    ],
    *,
    how: How = USUAL,
    watched: Fed = ALONE,
    options: Everywhere = HERE,
) -> None:
    """Score rows with a version. With --endpoint they are watched like traffic.

    There may be more rows than memory. The output appears whole or not at all. Killed, the same
    command goes on where it was; run again, it does nothing and feeds nothing twice.
    """
    import msgspec

    from mainspring.workspace.batches.running import score_table

    endpoint, judged = watched.endpoint, []
    columns = watched.columns()
    out = out.expanduser()
    with asking(options) as house:
        if isinstance(house, Remote):
            raise BadInputError(
                "A batch is scored where the model is: in the home, not over --url.", field="url"
            )
        with _rows_bar(options, source) as tell:
            scored = score_table(
                house.workspace,
                version,
                source,
                out,
                query=how.query,
                endpoint=endpoint,
                batch=watched.batch,
                columns=columns,
                bad_rows=None if how.bad_rows is None else how.bad_rows.expanduser(),
                workers=how.workers,
                fresh=how.fresh,
                tell=tell,
            )
        if watched.judge and endpoint is not None:
            judged = judged_of(house, endpoint, None)

    def draw(console: Console) -> None:
        for line in _told_of(scored):
            console.print(render.plain(line))
        if watched.judge and endpoint is not None:
            draw_windows(console, endpoint, judged)

    more = {"judged": judged} if watched.judge else {}
    render.answer(options, msgspec.to_builtins(scored) | more, draw)


def _told_of(scored: Scored) -> Iterator[str]:
    if scored.done_before:
        yield f"{scored.out} was made by this command already: {scored.rows:,} rows."
    else:
        yield f"{scored.rows:,} rows are scored by {scored.version}: {scored.out}"
    if scored.resumed:
        yield f"{scored.resumed:,} of them had been scored before it was interrupted."
    if scored.bad:
        yield f"{scored.bad:,} rows cannot be scored, and say why: {scored.bad_rows}"
    if scored.endpoint is not None:
        fed = "were fed before; nothing is doubled" if scored.again else "are fed"
        yield f"They {fed}: mainspring monitor {scored.endpoint}"


@contextmanager
def _rows_bar(options: Everywhere, source: str) -> Iterator[Callable[[int, int], None]]:
    """Have a progress bar over the bytes of a source, with rows a second; none off a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mainspring.workspace.batches.sources import open_source

    out = render.console(stderr=True)
    off = options.json or not out.is_terminal
    columns = (
        TextColumn("{task.fields[rows]} rows, {task.fields[speed]} rows/s"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    total = None if off or "://" in source else open_source(source).bytes
    with Progress(*columns, console=out, transient=True, disable=off) as bar:
        task = bar.add_task("rows", total=total, rows="0", speed="0")
        began = time.monotonic()

        def tell(at: int, rows: int) -> None:
            speed = rows / max(time.monotonic() - began, 1e-3)
            bar.update(task, completed=at, rows=f"{rows:,}", speed=f"{speed:,.0f}")

        yield tell
