"""Join alarms by AND, OR and NOT: read the expression, say what it comes to, refuse circles.

Words are names of rules, or series such as ``drift:temp`` (in quotes where they hold a space).
A word is true in ALARM, false in OK and unknown in INSUFFICIENT_DATA; ``ok(NAME)`` and
``insufficient(NAME)`` ask for the other two, ``at_least(2, A, B, C)`` counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from mainspring.ground.errors import BadInputError
from mainspring.ground.rules import AlarmRule, StateName

MOST_TEXT, MOST_DEPTH = 2_000, 50
_TOKEN = re.compile(r"\s*(?:([(),])|\"([^\"]+)\"|'([^']+)'|([^\s(),\"']+))")
_WORDS = ("and", "or", "not")

#: ("name", N), ("is", STATE, N), ("not", node), ("and" | "or", nodes), ("count", least, nodes)
Node = tuple[Any, ...]


def parse(text: str) -> Node:
    """Return what an expression says.

    Raises:
        BadInputError: if it cannot be read, saying where.

    >>> parse("(hot or wet) and not planned")[0]
    'and'
    """
    if len(text) > MOST_TEXT:
        raise BadInputError(
            f"when holds at most {MOST_TEXT:,} characters, found {len(text):,}.", field="when"
        )
    return _Reader(text).whole()


def names(node: Node) -> set[str]:
    """Return every rule and series that an expression asks about.

    >>> sorted(names(parse("at_least(2, a, b, ok(c))")))
    ['a', 'b', 'c']
    """
    return set(_names(node))


def truth(node: Node, states: Mapping[str, StateName]) -> bool | None:
    """Return what an expression comes to; None where what is unknown could decide it.

    A name without a state is unknown.

    >>> truth(parse("a and not b"), {"a": "ALARM", "b": "OK"})
    True
    """
    return _TRUTHS[node[0]](node, states)


def refuse_circles(rules: Mapping[str, AlarmRule]) -> list[str]:
    """Return the names of rules so that each stands after those it asks about.

    Raises:
        BadInputError: if rules ask about each other in a circle, or suppress each other so.
    """
    order: list[str] = []
    done: set[str] = set()
    for start in sorted(rules):
        _visit(start, rules, (), done, order)
    return order


def depends_on(rule: AlarmRule) -> set[str]:
    """Return what a rule asks about: in its expression, and what suppresses it."""
    asked = names(parse(rule.when)) if rule.when else set()
    return asked | set(rule.suppressed_by)


def _visit(
    name: str,
    rules: Mapping[str, AlarmRule],
    above: tuple[str, ...],
    done: set[str],
    order: list[str],
) -> None:
    if name in above:
        circle = " asks about ".join([*above[above.index(name) :], name])
        raise BadInputError(f"Rules must not go in a circle: {circle}.", field="when")
    if name in done or name not in rules:
        return
    for other in sorted(depends_on(rules[name])):
        _visit(other, rules, (*above, name), done, order)
    done.add(name)
    order.append(name)


def _names(node: Node) -> Iterator[str]:
    if node[0] in ("name", "is"):
        yield str(node[-1])
    elif node[0] == "not":
        yield from _names(node[1])
    else:
        for one in node[-1]:
            yield from _names(one)


# ---------------------------------------------------------------- what it comes to


def _name(node: Node, states: Mapping[str, StateName]) -> bool | None:
    return {"ALARM": True, "OK": False}.get(states.get(node[1], ""))


def _is(node: Node, states: Mapping[str, StateName]) -> bool | None:
    return bool(states.get(node[2], "INSUFFICIENT_DATA") == node[1])


def _not(node: Node, states: Mapping[str, StateName]) -> bool | None:
    inner = truth(node[1], states)
    return None if inner is None else not inner


def _and(node: Node, states: Mapping[str, StateName]) -> bool | None:
    found = [truth(one, states) for one in node[1]]
    return False if False in found else None if None in found else True


def _or(node: Node, states: Mapping[str, StateName]) -> bool | None:
    found = [truth(one, states) for one in node[1]]
    return True if True in found else None if None in found else False


def _count(node: Node, states: Mapping[str, StateName]) -> bool | None:
    found = [truth(one, states) for one in node[2]]
    if found.count(True) >= node[1]:
        return True
    return None if found.count(True) + found.count(None) >= node[1] else False


_TRUTHS: dict[str, Callable[[Node, Mapping[str, StateName]], bool | None]] = {
    "name": _name,
    "is": _is,
    "not": _not,
    "and": _and,
    "or": _or,
    "count": _count,
}


# ---------------------------------------------------------------- reading


class _Reader:
    """Reads an expression from left to right; ``and`` binds closer than ``or``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        if self._place < len(self._tokens):
            self._refuse("an end, 'and' or 'or'")
        return node

    def _either(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._one))

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._is(word):
            self._place += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else (word, tuple(parts))

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise BadInputError(f"when is nested deeper than {MOST_DEPTH}.", field="when")
        try:
            return self._inner()
        finally:
            self._depth -= 1

    def _inner(self) -> Node:
        if self._is("not"):
            self._place += 1
            return ("not", self._one())
        if self._is("("):
            self._place += 1
            node = self._either()
            self._need(")")
            return node
        token = self._take()
        if self._is("(") and not token[1]:
            return self._call(token[0])
        return ("name", token[0])

    def _call(self, word: str) -> Node:
        self._need("(")
        node: Node
        if word in ("ok", "insufficient", "alarm"):
            state = {"ok": "OK", "insufficient": "INSUFFICIENT_DATA", "alarm": "ALARM"}[word]
            node = ("is", state, self._take()[0])
        elif word == "at_least":
            least, parts = self._take()[0], []
            while self._is(","):
                self._place += 1
                parts.append(self._either())
            if not (least.isascii() and least.isdecimal() and 1 <= int(least) <= len(parts)):
                raise BadInputError(
                    f"at_least asks for 1 to as many as it names ({len(parts)}), found"
                    f" {least[:20]!r}.",
                    field="when",
                )
            node = ("count", int(least), tuple(parts))
        else:
            self._place -= 1
            self._refuse("'and', 'or', 'ok(...)', 'insufficient(...)' or 'at_least(...)'")
        self._need(")")
        return node

    def _is(self, word: str) -> bool:
        if self._place >= len(self._tokens):
            return False
        found, quoted = self._tokens[self._place]
        return not quoted and found.lower() == word

    def _need(self, word: str) -> None:
        if not self._is(word):
            self._refuse(f"'{word}'")
        self._place += 1

    def _take(self) -> tuple[str, bool]:
        if self._place >= len(self._tokens):
            self._refuse("a name")
        token = self._tokens[self._place]
        if not token[1] and (token[0] in "()," or token[0].lower() in _WORDS):
            self._refuse("a name")
        self._place += 1
        return token

    def _refuse(self, wanted: str) -> NoReturn:
        there = self._place < len(self._tokens)
        found = repr(self._tokens[self._place][0][:40]) if there else "its end"
        raise BadInputError(
            f"when cannot be read: wanted {wanted} and found {found} in {self._text[:80]!r}.",
            field="when",
            hint="Such as: (hot or wet) and not planned",
        )


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Return (text, whether it stood in quotes), one a word."""
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            raise BadInputError(
                f"when cannot be read from {text[place : place + 20]!r} on: a quote is open.",
                field="when",
            )
        place = found.end()
        mark, double, single, plain = found.groups()
        yield (double or single, True) if double or single else (mark or plain, False)
