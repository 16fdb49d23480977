"""Show answers: one JSON document for programs, tables and lines for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.ground.durations import spoken

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.cli.options import Everywhere

#: Colours of the states a run, step, check, process or alarm can be in.
COLOURS = {
    "done": "green", "finished": "green", "reused": "cyan", "ok": "green", "up": "green",
    "promoted": "green", "running": "yellow", "waiting": "dim", "warn": "yellow",
    "interrupted": "yellow", "failed": "red", "crashed": "red", "bad": "red", "down": "red",
    "skipped": "dim", "cancelled": "dim",
}  # fmt: skip


def console(*, stderr: bool = False) -> Console:
    """Return where people read. A pipe gets wide lines, so that nothing is cut off."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else 200,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
    )


def answer(options: Everywhere, document: Any, draw: Callable[[Console], None]) -> None:
    """Print a document as JSON where ``--json`` was given, else as people like it."""
    if options.json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        draw(console())


def said(options: Everywhere, document: Any, *lines: str) -> None:
    """Print a document, or the lines that say the same."""

    def draw(out: Console) -> None:
        for line in lines:
            out.print(plain(line))

    answer(options, document, draw)


def table(
    out: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "Nothing."
) -> None:
    """Print rows under their headings; a heading that ends in ``>`` is aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        right = column.endswith(">")
        drawn.add_column(column.rstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        cells = [plain(cell) for cell in row]
        drawn.add_row(*[Text(cell, style=COLOURS.get(cell, "")) for cell in cells])
    if drawn.row_count:
        out.print(drawn)
    else:
        out.print(empty)


def plain(value: Any) -> str:
    r"""Return a value as text that cannot command a terminal.

    >>> plain(0.123456), plain(None), plain("a\x1b[31m")
    ('0.12346', '', 'a?[31m')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def when(seconds: float | None) -> str:
    """Return a time, in UTC, as a table shows it; 0 is before a loop has seen its first row.

    >>> when(86_400), when(0)
    ('1970-01-02 00:00:00', 'at the start')
    """
    if seconds is None:
        return ""
    if seconds == 0:
        return "at the start"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def gone(one: dict[str, Any]) -> str:
    """Return in words that something goes away.

    >>> gone({"subject": "m/1", "until": 86_400, "reason": "Old.", "use": "m/2"})
    'm/1 goes away 1970-01-02 00:00:00 UTC: Old. Use m/2 instead.'
    """
    use = f" Use {one['use']} instead." if one["use"] else ""
    return f"{one['subject']} goes away {when(one['until'])} UTC: {one['reason']}{use}"


def took(started: float | None, ended: float | None) -> str:
    """Return how long something took, or nothing while it runs."""
    return "" if started is None or ended is None else spoken(max(ended - started, 0.0))


def size(count: float) -> str:
    """Return a number of bytes as people say it.

    >>> size(1536)
    '1.5 KB'
    """
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def figures(values: dict[str, Any], most: int = 4) -> str:
    """Return a few named figures in one cell.

    >>> figures({"auc": 0.71234567, "loss": 0.1})
    'auc 0.71235, loss 0.1'
    """
    shown = [f"{key} {plain(value)}" for key, value in list(values.items())[:most]]
    return ", ".join(shown + (["..."] if len(values) > most else []))
