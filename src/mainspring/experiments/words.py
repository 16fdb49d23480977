"""Cut a filter into words, and say where and why it cannot be read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from mainspring.experiments.exact import exact_text
from mainspring.ground.errors import BadInputError, TooLargeError

MOST_TEXT = 20_000  #: characters of a filter
_WORD = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<odd>`(?:[^`]|``)+`)
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|[+-]inf\b)
    | (?P<op><=|>=|==|!=|<>|=|<|>)
    | (?P<mark>[(),])
    | (?P<word>-?[^\W\d][\w\-/:@%+.]*)
    )""",
    re.VERBOSE,
)

WordKind = Literal["text", "odd", "number", "op", "mark", "word", "end"]


class Word(msgspec.Struct, frozen=True):
    """One word of a filter."""

    kind: WordKind
    text: str  #: as it stands there
    at: int  #: its first character's place, from 0
    after_space: bool

    @property
    def content(self) -> str:
        """Return what stands between quotes, or the word itself."""
        if self.kind not in ("text", "odd"):
            return self.text
        mark = self.text[0]
        return self.text[1:-1].replace(mark * 2, mark)

    @property
    def shown(self) -> str:
        """Return the word for a message."""
        if self.kind == "end":
            return "the end"
        return self.text if len(self.text) <= 40 else f"{self.text[:37]}..."


class Words:
    """The words of a filter, an order or a list of columns, read one after another."""

    def __init__(self, text: str, field: str) -> None:
        if len(text) > MOST_TEXT:
            raise TooLargeError(
                f"A {field} has at most {MOST_TEXT:,} characters, found {len(text):,}.",
                field=field,
            )
        exact_text(text, field)
        self.field = field
        self._source = text
        self._found: list[Word] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _WORD.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._unreadable(at)
            start = match.start(match.lastgroup)
            kind: WordKind = match.lastgroup  # type: ignore[assignment]
            self._found.append(Word(kind, match[match.lastgroup], start, start > at))
            at = match.end()
        self._end = Word("end", "", end, after_space=True)
        self._at = 0

    def at_end(self) -> bool:
        """Return whether every word was read."""
        return self._at >= len(self._found)

    def peek(self, further: int = 0) -> Word:
        """Return the next word, or one further on."""
        place = self._at + further
        return self._found[place] if place < len(self._found) else self._end

    def take(self) -> Word:
        """Return the next word and go on."""
        found = self.peek()
        self._at += 1
        return found

    def takes(self, *wanted: str) -> bool:
        """Go on if the next word is one of these, in any case."""
        found = self.peek()
        if found.kind in ("word", "mark") and found.text.lower() in wanted:
            self._at += 1
            return True
        return False

    def wrong(
        self,
        expected: str,
        found: Word | None = None,
        *,
        known: Sequence[str] = (),
        hint: str | None = None,
    ) -> BadInputError:
        """Return the error for a word that cannot stand where it does."""
        found = found or self.peek()
        if hint is None and found.kind in ("word", "odd", "text"):
            asked = found.content.lower()
            by_lower = {name.lower(): name for name in known}
            close = difflib.get_close_matches(asked, by_lower, n=2, cutoff=0.6)
            hint = (
                f"Did you mean {' or '.join(by_lower[one] for one in close)}?" if close else None
            )
        return self.refused(f"expected {expected}, found {found.shown}", found, hint)

    def refused(self, why: str, at: Word, hint: str | None = None) -> BadInputError:
        """Return the error for a reason that holds from a word on."""
        return BadInputError(
            f"The {self.field}, at character {at.at + 1}: {why}.", field=self.field, hint=hint
        )

    def _unreadable(self, at: int) -> BadInputError:
        text = self._source
        at += len(text[at:]) - len(text[at:].lstrip())
        sign = text[at]
        if sign in "'\"`":
            why = f"a {sign} is opened and not closed"
            hint = f"Inside of quotes, write the quote itself twice: {sign * 2}."
        elif sign in "&|!":
            why, hint = f"expected a word, found {sign}", "Write and, or, not."
        else:
            why, hint = f"cannot read {text[at : at + 20]!r}", None
            if sign.isdecimal() or sign in "+-.":
                hint = "A number looks like 3, -0.5 or 1e-3; texts stand in quotes."
        return BadInputError(
            f"The {self.field}, at character {at + 1}: {why}.", field=self.field, hint=hint
        )
