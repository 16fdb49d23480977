"""Parse MLflow's filters (``key op value``, joined by AND) and orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError

_MOST = 20_000  #: characters of a filter
_WORD = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")
    | (?P<odd>`[^`]*`)
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<op><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),.])
    | (?P<word>[\w\-/:@%+]+)
    )""",
    re.VERBOSE,
)
_ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "like": lambda a, b: like(b, 0).fullmatch(a) is not None,
    "ilike": lambda a, b: like(b, re.IGNORECASE).fullmatch(a) is not None,
}

Value = str | float | int | list[str] | None


class Term(msgspec.Struct, frozen=True):
    """One comparison of a filter."""

    entity: str  #: metric, param, tag, attribute or dataset
    key: str
    op: str  #: = != < <= > >= like ilike in, not in, null, not null
    value: Value

    def holds(self, found: str | float | None) -> bool:
        """Return whether a value that is in memory meets this term; None meets only ``null``."""
        if self.op in ("null", "not null"):
            return (found is None) == (self.op == "null")
        if found is None:
            return False
        wanted = self.value
        if isinstance(found, int | float):
            if isinstance(wanted, str) and wanted.isdecimal() and len(wanted) < 10:
                wanted = int(wanted)
            if not isinstance(wanted, int | float) or self.op not in _NUMERIC:
                raise refused(f"{self.key} is a number, compared by {', '.join(_NUMERIC)}")
        elif not isinstance(wanted, str | list) or self.op not in _TEXTUAL:
            raise refused(f"{self.key} is text, compared by {', '.join(_TEXTUAL)}")
        return _COMPARE[self.op](found, wanted)


_NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
_TEXTUAL = ("=", "!=", "like", "ilike", "in", "not in")


class Order(msgspec.Struct, frozen=True):
    """One entry of ``order_by``."""

    entity: str
    key: str
    ascending: bool


def parse(text: str) -> list[Term]:
    """Return the terms of a filter.

    >>> parse("metrics.auc > 0.5 and tags.`my tag` = 'x'")[1].key
    'my tag'

    Raises:
        BadInputError: if it is no such filter; OR, NOT and parentheses are none.
    """
    if len(text) > _MOST:
        raise refused(f"it has {len(text):,} characters, at most {_MOST:,} are read")
    words = _Words(text)
    terms: list[Term] = []
    while not words.at_end():
        if terms and not words.takes("and"):
            raise refused(f"expected AND, found {words.shown()}")
        entity, key = _identifier(words)
        terms.append(_term(words, entity, key))
    return terms


def parse_order(text: str) -> Order:
    """Return one entry of ``order_by``: ``entity.key [ASC|DESC]``.

    Raises:
        BadInputError: if it is none.
    """
    words = _Words(text)
    entity, key = _identifier(words)
    ascending = not words.takes("desc") if not words.at_end() else True
    if ascending:
        words.takes("asc")
    if not words.at_end():
        raise BadInputError(
            f"Invalid order_by clause '{text[:200]}'. Could not be parsed.", field="order_by"
        )
    return Order(entity, key, ascending)


def like(pattern: str, flags: int) -> re.Pattern[str]:
    """Return the regular expression of a LIKE pattern."""
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    # Neighbouring wildcards would try every way to share what they match.
    return re.compile(re.sub(r"(?:\.\*)+", ".*", "".join(parts)), flags | re.DOTALL)


def refused(why: str) -> BadInputError:
    """Return the refusal of a filter."""
    return BadInputError(f"Invalid clause(s) in filter string: {why}.", field="filter")


class _Words:
    """The words of a filter, read one after another."""

    def __init__(self, text: str) -> None:
        self._found: list[tuple[str, str]] = []
        at, text = 0, text.strip()
        while at < len(text):
            match = _WORD.match(text, at)
            if match is None or match.lastgroup is None:
                raise refused(f"cannot read {text[at : at + 40]!r}")
            self._found.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self._at = 0

    def at_end(self) -> bool:
        """Return whether every word was read."""
        return self._at >= len(self._found)

    def shown(self) -> str:
        """Return the next word for a message."""
        return "the end" if self.at_end() else repr(self._found[self._at][1][:40])

    def peek(self) -> tuple[str, str]:
        """Return the kind and text of the next word."""
        return ("end", "") if self.at_end() else self._found[self._at]

    def take(self) -> tuple[str, str]:
        """Return the next word and go on."""
        found = self.peek()
        self._at += 1
        return found

    def takes(self, *wanted: str) -> bool:
        """Go on if the next word is one of these, in any case."""
        if self.peek()[0] in ("word", "mark") and self.peek()[1].lower() in wanted:
            self._at += 1
            return True
        return False


def _identifier(words: _Words) -> tuple[str, str]:
    parts = [_name(words)]
    while words.takes("."):
        parts.append(_name(words))
    entity = _ENTITIES.get(parts[0].lower())
    if len(parts) == 1:
        return "attribute", parts[0]
    if entity is None:
        valid = ", ".join(sorted(set(_ENTITIES.values())))
        raise refused(f"Invalid entity type '{parts[0][:40]}'. Valid values are {valid}")
    return entity, ".".join(parts[1:])


def _name(words: _Words) -> str:
    shown = words.shown()
    kind, text = words.take()
    if kind in ("word", "number"):
        return text
    if kind == "odd" or (kind == "text" and text.startswith('"')):
        return text[1:-1]
    raise refused(f"expected a name such as metrics.auc, found {shown}")


def _term(words: _Words, entity: str, key: str) -> Term:
    if words.takes("is"):
        negated = words.takes("not")
        if not words.takes("null"):
            raise refused(f"expected NULL, found {words.shown()}")
        return Term(entity, key, "not null" if negated else "null", None)
    for op in ("in", "like", "ilike"):
        if words.takes(op):
            return Term(entity, key, op, _list(words) if op == "in" else _text(words))
    if words.takes("not"):
        if not words.takes("in"):
            raise refused(f"expected IN, found {words.shown()}")
        return Term(entity, key, "not in", _list(words))
    shown = words.shown()
    kind, op = words.take()
    if kind != "op":
        raise refused(f"expected a comparison after {key[:40]}, found {shown}")
    op = "!=" if op == "<>" else op
    if words.peek()[0] == "number":
        text = words.take()[1]
        return Term(entity, key, op, int(text) if text.lstrip("+-").isdecimal() else float(text))
    return Term(entity, key, op, _text(words))


def _text(words: _Words) -> str:
    shown = words.shown()
    kind, text = words.take()
    if kind != "text":
        raise refused(f"expected a quoted string or a number, found {shown}")
    return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]


def _list(words: _Words) -> list[str]:
    if not words.takes("("):
        raise refused(f"expected a list in parentheses, found {words.shown()}")
    found = [_text(words)]
    while words.takes(","):
        found.append(_text(words))
    if not words.takes(")"):
        raise refused(f"expected the end of a list, found {words.shown()}")
    return found
