"""Write sections as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mainspring.debt.cards.sections import Section


def text(title: str, headline: str, sections: Sequence[Section]) -> str:
    """Return sections as Markdown; no cell of a table breaks out of it."""
    parts = [f"# {_line(title)}", _line(headline)]
    for one in sections:
        parts.append(f"## {_line(one.title)}")
        if one.owed:
            parts.append(f"_Missing: {one.owed}._")
        parts += one.text
        if one.rows:
            parts.append(_table(one.columns, one.rows))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = [name.removesuffix(">") for name in columns]
    rule = ["---:" if name.endswith(">") else "---" for name in columns]
    lines = [_row(head), _row(rule), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(_line(cell) for cell in cells)} |"


def _line(value: Any) -> str:
    r"""Return a value as text that cannot break out of its cell or its line.

    >>> _line(0.123456), _line(None), _line("a|b")
    ('0.1235', '', 'a\\|b')
    """
    if value is None:
        return ""
    said = f"{value:.4g}" if isinstance(value, float) else str(value)
    return said.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")
