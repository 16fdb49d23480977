"""Show records in a notebook: HTML in which every text is escaped, and plain lines beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from mainspring.ground.durations import spoken

MOST_ROWS = 100
_MOST_TEXT = 200

Rows = Sequence[Sequence[Any]]


class Page:
    r"""What is shown of one thing: a title, facts, and tables; as HTML and as text.

    >>> page = Page("run run_1").facts([("status", "finished")])
    >>> page.text()
    'run run_1\n  status  finished'
    >>> "<b>" in Page("<b>").html()
    False
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[tuple[str, Sequence[str], Rows]] = []

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> Page:
        """Add names with their values; what has no value is left out."""
        rows = [pair for pair in pairs if pair[1] not in (None, "")]
        return self.table("", (), rows)

    def table(self, title: str, columns: Sequence[str], rows: Rows) -> Page:
        """Add a table; nothing if it has no rows."""
        if rows:
            self._parts.append((title, columns, rows))
        return self

    def html(self) -> str:
        """Return it as HTML without scripts, styles of its own or anything from elsewhere."""
        parts = [f"<strong>{_text(self._title)}</strong>"]
        for title, columns, rows in self._parts:
            parts.append(f"<div><em>{_text(title)}</em></div>" if title else "")
            head = "".join(f"<th>{_text(name)}</th>" for name in columns)
            body = "".join(
                f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
                for row in rows[:MOST_ROWS]
            )
            more = len(rows) - MOST_ROWS
            rest = f"<div>and {more:,} more</div>" if more > 0 else ""
            parts.append(
                f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}"
                f"<tbody>{body}</tbody></table>{rest}"
            )
        return f"<div>{''.join(parts)}</div>"

    def text(self) -> str:
        """Return it as lines of text."""
        lines = [shown(self._title)]
        for title, columns, rows in self._parts:
            lines += [f"{title}:"] if title else []
            cells = [[shown(cell) for cell in row] for row in rows[:MOST_ROWS]]
            lines += _aligned([list(columns), *cells] if columns else cells)
            more = len(rows) - MOST_ROWS
            lines += [f"  and {more:,} more"] if more > 0 else []
        return "\n".join(lines)


def shown(value: Any) -> str:
    r"""Return a value as one short line of text that commands no terminal.

    >>> shown(0.123456789), shown(None), shown("a\nb"), shown(float("nan"))
    ('0.12346', '', 'a b', 'nan')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else str(value)
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..."


def when(seconds: float | None) -> str:
    """Return a time in UTC.

    >>> when(86_400), when(None)
    ('1970-01-02 00:00:00', '')
    """
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def took(started: float, ended: float | None) -> str:
    """Return how long something took; nothing while it runs."""
    return "" if ended is None else spoken(max(ended - started, 0.0))


def run_page(run: Any) -> Page:
    """Return what is shown of a run's record."""
    return (
        Page(f"run {run.name} ({run.id})")
        .facts(
            [
                ("experiment", run.experiment),
                ("status", run.standing),
                ("started", f"{when(run.started)} UTC"),
                ("took", took(run.started, run.ended)),
                ("parent", run.parent),
                ("pipeline", run.pipeline),
            ]
        )
        .table("params", (), _pairs(run.params))
        .table("metrics", (), _pairs(run.metrics))
        .table("tags", (), _pairs(run.tags))
    )


def _pairs(values: Mapping[str, Any]) -> Rows:
    return sorted(values.items())


def _text(value: Any) -> str:
    return escape(shown(value), quote=True)


def _aligned(rows: Rows) -> list[str]:
    width = max(map(len, rows))
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in full) for column in range(width)]
    return [
        "  " + "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in full
    ]
