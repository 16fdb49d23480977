"""Keep the text of code, so that `why` can show the line that differs.

Digests say that a function changed; its text says where. Texts are kept once each, however many
runs are of them, up to a size. The process of a step reads code too, perhaps in an environment
that has no database: so SQL is imported where it is asked.
"""

from __future__ import annotations

import difflib
import io
import tokenize
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from mainspring.ground.identity import canonical, sha256
from mainspring.ground.ports import Tx

MOST_CHARACTERS = 20_000  #: of one part; what is longer is said to have changed, and not where
_SHOWN = 3  # changed places named
_WIDTH = 90  # characters of a line shown


class CodeText(msgspec.Struct, frozen=True):
    """A part of a project's code as it was written."""

    file: str  #: from the project's folder, where it is in it
    line: int  #: the number of its first line
    text: str


def keep(tx: Tx, found: Mapping[str, CodeText]) -> dict[str, str]:
    """Keep texts by the name of their part; return under which digest each is."""
    from sqlalchemy import insert, select

    from mainspring.pipelines.tables import code_texts

    rows = {}
    for name, one in found.items():
        if len(one.text) <= MOST_CHARACTERS:
            packed = canonical(msgspec.to_builtins(one)).decode()
            rows[name] = (sha256(packed.encode()), packed)
    digests = sorted({digest for digest, _ in rows.values()})
    known: set[str] = set()
    for start in range(0, len(digests), 500):
        part = code_texts.c.digest.in_(digests[start : start + 500])
        known |= {row.digest for row in tx.all(select(code_texts.c.digest).where(part))}
    new = {digest: text for digest, text in rows.values() if digest not in known}
    if new:
        tx.run(insert(code_texts), [{"digest": k, "text": v} for k, v in new.items()])
    return {name: digest for name, (digest, _) in rows.items()}


def forget(tx: Tx, named: Collection[bytes], *, dry_run: bool = False) -> int:
    """Delete texts whose digest is not among those that are named; return how many.

    Who relies on a text as it goes is told that code changed, and no longer where.
    """
    from sqlalchemy import delete, select

    from mainspring.pipelines.tables import code_texts

    every = (row.digest for row in tx.all(select(code_texts.c.digest)))
    gone = [digest for digest in every if bytes.fromhex(digest) not in named]
    for start in range(0, 0 if dry_run else len(gone), 500):
        part = code_texts.c.digest.in_(gone[start : start + 500])
        tx.run(delete(code_texts).where(part))
    return len(gone)


def changes(tx: Tx, old: str | None, new: str | None) -> list[str]:
    """Return in words which lines differ between two kept texts; nothing if one is not there."""
    if old is None or new is None or old == new:
        return []
    from sqlalchemy import select

    from mainspring.pipelines.tables import code_texts

    rows = tx.all(select(code_texts).where(code_texts.c.digest.in_([old, new])))
    found = {row.digest: msgspec.json.decode(row.text, type=CodeText) for row in rows}
    return differing(found[old], found[new]) if len(found) == 2 else []


def differing(old: CodeText, new: CodeText) -> list[str]:
    """Return in words which lines differ, comments and empty lines aside.

    >>> differing(CodeText("a.py", 3, "C = 1.0  # x"), CodeText("a.py", 5, "C = 2.0"))
    ['line 5: C = 1.0 -> C = 2.0']
    """
    before, after = _lines(old), _lines(new)
    matcher = difflib.SequenceMatcher(
        None, [text for _, text in before], [text for _, text in after], autojunk=False
    )
    told: list[str] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        pairs = min(b - a, d - c)
        for n in range(pairs):
            was, (number, now) = before[a + n][1], after[c + n]
            told.append(f"line {number}: {_cut(was)} -> {_cut(now)}")
        told += [f"line {number}: new: {_cut(now)}" for number, now in after[c + pairs : d]]
        told += [f"line {n} before: gone: {_cut(was)}" for n, was in before[a + pairs : b]]
    more = len(told) - _SHOWN
    return told if more <= 0 else [*told[:_SHOWN], f"and {more} more"]


def _lines(one: CodeText) -> list[tuple[int, str]]:
    """Return the lines that say something, without comments, each with its number in the file."""
    lines = one.text.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(one.text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):  # a part that is no whole program: as it is
        lines = one.text.splitlines()
    return [(one.line + number, line.strip()) for number, line in enumerate(lines) if line.strip()]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def as_kept(found: Mapping[str, Any]) -> dict[str, CodeText]:
    """Return texts as a child told them."""
    return {name: CodeText(**one) for name, one in found.items()}
