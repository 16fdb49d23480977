"""Write a report as Markdown in which nothing of the data is markup."""

from __future__ import annotations

import re
from typing import Any

from mainspring.ground.words import figure
from mainspring.workspace.reports import drawn
from mainspring.workspace.reports.document import Cell, Part, Report, Table, Text

_MARKS = re.compile(r"([\\`*_{}\[\]()#+|~!])")
_TONES = {"alarm": "**alarm**", "notice": "notice", "quiet": "quiet"}


def text(report: Report) -> str:
    """Return a report as Markdown; figures are said in words."""
    lines = [f"# {plain(report.title)}", "", f"**{plain(report.headline)}**", ""]
    lines += [f"* {plain(name)}: {plain(value)}" for name, value in report.facts]
    for part in report.parts:
        lines += _part(part)
    return "\n".join(lines).rstrip() + "\n"


def plain(value: Any) -> str:
    r"""Return a value as text that Markdown shows as it is.

    >>> plain("<b>a|b</b>"), plain(0.12345)
    ('&lt;b&gt;a\\|b&lt;/b&gt;', '0.1235')
    """
    if value is None:
        return ""
    said = figure(value) if isinstance(value, int | float) else str(value)
    said = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    said = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    said = said.replace("://", ":&#47;&#47;")  # or an address would become a link of itself
    return _MARKS.sub(r"\\\1", said)


def _part(part: Part) -> list[str]:
    level = "###" if part.folded else "##"
    note = f" ({plain(part.note)})" if part.note else ""
    lines = ["", f"{level} {plain(part.title)}{note}", ""]
    for block in part.blocks:
        if isinstance(block, Text):
            lines += [plain(block.text), ""]
        elif isinstance(block, Table):
            lines += [*_table(block), ""]
        elif block.told:
            lines += [f"*Figure: {plain(block.told)}*", ""]
    return lines


def _table(table: Table) -> list[str]:
    if not table.rows:
        return [plain(table.note or "Nothing.")]
    heads = [plain(name.removesuffix(">")) for name in table.columns]
    rule = ["---:" if name.endswith(">") else "---" for name in table.columns]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(rule)} |"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
    return [*lines, "", plain(table.note)] if table.note else lines


def _cell(cell: Any) -> str:
    if not isinstance(cell, Cell):
        return plain(cell)
    if cell.picture is not None:
        return f"`{drawn.letters(cell.picture)}`"
    return _TONES.get(cell.tone, "") if cell.tone and not cell.text else plain(cell.text)
