"""Show that something is at work which cannot say how far it is, where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.cli import render

if TYPE_CHECKING:
    from mainspring.cli.options import Everywhere


@contextmanager
def busy(options: Everywhere, what: str) -> Iterator[None]:
    """Show what is done and for how long already: on a terminal, and never beside JSON."""
    if options.json or not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=render.console(stderr=True), transient=True) as bar:
        bar.add_task(render.plain(what), total=None)
        yield
