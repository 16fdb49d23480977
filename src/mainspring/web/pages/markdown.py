"""Turn the little Markdown that cards use into HTML; everything else stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import Markup, escape

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`([^`]+)`")
_HEAD = re.compile(r"(#{1,4}) +(.*)")
_ITEM = re.compile(r"[-*] +(.*)")
_WHOLE = re.compile(r"_([^_].*[^_])_")
_RULE = re.compile(r"\|?[\s:|-]+\|?")


def html(text: str) -> Markup:
    """Return headings, lists, tables, paragraphs, bold and code as HTML; all else is escaped.

    Text is escaped before anything is marked up, so no tag of the author's ever gets through.

    >>> str(html("# A <b>")), str(html("_Missing: <b>_"))
    ('<h3>A &lt;b&gt;</h3>', '<p><em>Missing: &lt;b&gt;</em></p>')
    """
    out: list[str] = []
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    for block in blocks:
        out += _block([line.strip() for line in block.split("\n") if line.strip()])
    return Markup("\n".join(out))  # noqa: S704  every piece was escaped by _inline


def _block(lines: list[str]) -> list[str]:
    out: list[str] = []
    while lines:
        head = _HEAD.fullmatch(lines[0])
        if head:
            level = min(len(head[1]) + 2, 6)
            out.append(f"<h{level}>{_inline(head[2])}</h{level}>")
            lines = lines[1:]
            continue
        take, draw = _kind(lines)
        out.append(draw(lines[:take]))
        lines = lines[take:]
    return out


def _kind(lines: list[str]) -> tuple[int, Callable[[list[str]], str]]:
    """Return how many lines belong together, and what draws them."""
    if _ITEM.fullmatch(lines[0]):
        return _run(lines, lambda line: bool(_ITEM.fullmatch(line))), _list
    if lines[0].startswith("|"):
        return _run(lines, lambda line: line.startswith("|")), _table
    plain = _run(
        lines, lambda line: not (_ITEM.fullmatch(line) or _HEAD.fullmatch(line) or line[0] == "|")
    )
    return plain, _paragraph


def _run(lines: list[str], belongs: Callable[[str], bool]) -> int:
    return next((n for n, line in enumerate(lines) if not belongs(line)), len(lines))


def _list(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{_inline(line[1:].strip())}</li>" for line in lines) + "</ul>"


def _paragraph(lines: list[str]) -> str:
    return "<p>" + "<br>".join(_line(line) for line in lines) + "</p>"


def _line(text: str) -> str:
    """Return a line; one that stands between underscores is emphasised as a whole."""
    whole = _WHOLE.fullmatch(text)
    return f"<em>{_inline(whole[1])}</em>" if whole else _inline(text)


def _table(lines: list[str]) -> str:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not _RULE.fullmatch(line)
    ]
    if not rows:
        return ""
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _inline(text: str) -> str:
    safe = str(escape(text))
    return _CODE.sub(r"<code>\1</code>", _BOLD.sub(r"<strong>\1</strong>", safe))
