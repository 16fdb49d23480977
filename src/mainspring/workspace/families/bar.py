"""Show how far a repeat or a tuning is: a bar on a terminal, else nothing or a line each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mainspring.workspace.families.summary import Progress


@contextmanager
def bar(*, lines: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows progress on standard error, for as long as the block lasts.

    Without a terminal it writes a line for each child that ended, if ``lines``.
    """
    if not sys.stderr.isatty():
        told = [-1]
        yield lambda found: _line(found, told) if lines else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None, told="")

        def show(found: Progress) -> None:
            done = found.done + found.failed
            drawn.update(
                task, description=found.kind, total=found.count, completed=done, told=words(found)
            )

        yield show


def words(found: Progress) -> str:
    """Return what is known so far, in a few words."""
    parts = []
    if found.best is not None:
        parts.append(f"best {found.metric} {found.best.metrics[found.metric]:.5g}")
    parts += [f"{one.metric} {one.mean:.5g}" for one in found.spreads[:3]]
    if found.pruned:
        parts.append(f"{found.pruned} pruned")
    if found.failed:
        parts.append(f"{found.failed} failed")
    return ", ".join(parts)


def _line(found: Progress, told: list[int]) -> None:
    done = found.done + found.failed
    if done != told[0] and done:
        told[0] = done
        sys.stderr.write(f"{found.kind} {done}/{found.count}  {words(found)}\n")
        sys.stderr.flush()
