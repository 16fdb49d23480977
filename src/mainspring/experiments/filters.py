"""Read our filter language: ``metrics.auc > 0.9 and params.C != '1'``.

    expression  = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | condition
    condition   = name operator value | name ["not"] "in" "(" value { "," value } ")"
                | name ["not"] ("like" | "ilike") text | name "is" ["not"] ("null" | "nan")
    name        = ("metrics" | "params" | "tags" | "datasets" | "attributes") "." key | attribute

docs/reference/filters.md says what each of them means.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mainspring.experiments.expressions import (
    EVERYTHING,
    NUMBERS,
    OF_DATASETS,
    TEXTS,
    And,
    Condition,
    Expression,
    Kind,
    Not,
    Or,
    Order,
    Value,
    column,
    why_not,
)
from mainspring.experiments.words import Word, Words
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import HaltState, RunStatus

MOST_CONDITIONS = 200
MOST_DEEP = 50  #: parentheses and nots within each other
_MOST_DIGITS = 400
MOST_NAMES = 200  #: orders or columns of one search

_ENTITIES: dict[str, Kind] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
    **dict.fromkeys(("attribute", "attributes", "run"), "run"),
}
_SHOWN = ("metrics", "params", "tags", "datasets", "attributes")
_OPERATORS = "one of = != < <= > >= like ilike in is"
_WORDY = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=", "ne": "!=", "contains": "like"}
_AGO = re.compile(r"-\s*(\d+(?:\.\d+)?\s*[smhdw])")


def parse(text: str, *, now: float | None = None) -> Expression:
    """Return what a filter says, as a tree; of an empty text, everything.

    Args:
        text: At most 20,000 characters, 200 conditions, 50 parentheses within each other.
        now: UTC seconds, from which ``'-7d'`` counts.

    >>> parse("metrics.auc > 0.9")
    Condition(kind='metric', key='auc', op='>', value=0.9)

    Raises:
        BadInputError: naming the character, what was found there and what could stand there.
    """
    words = Words(text, "filter")
    if words.at_end():
        return EVERYTHING
    parser = _Parser(words, now)
    found = parser.expression(0)
    if not words.at_end():
        raise words.wrong("and, or, or the end", known=("and", "or"))
    return found


def parse_orders(text: str) -> list[Order]:
    """Return orders: names parted by commas, each with a ``-`` in front or ``desc`` behind.

    >>> parse_orders("-metrics.auc, started")[0]
    Order(kind='metric', key='auc', ascending=False, textual=False)

    Raises:
        BadInputError: naming the character.
    """
    words = Words(text, "order")
    found: list[Order] = []
    while not words.at_end():
        if found and not words.takes(","):
            raise words.wrong("a comma, asc, desc or the end")
        first = words.peek()
        kind, key, falling = _name(words, signed=True)
        if kind == "dataset":
            raise words.refused(
                "runs are not ordered by datasets, of which they may have many", first
            )
        if words.takes("desc"):
            falling = True
        else:
            words.takes("asc")
        found.append(Order(kind, key, ascending=not falling))
        if len(found) > MOST_NAMES:
            raise words.refused(f"at most {MOST_NAMES} orders are taken", first)
    return found


def parse_columns(text: str, field: str = "columns") -> list[tuple[Kind, str]]:
    """Return which columns are asked for: names parted by commas.

    >>> parse_columns("params.C, metrics.auc")
    [('param', 'C'), ('metric', 'auc')]

    Raises:
        BadInputError: naming the character.
    """
    words = Words(text, field)
    found: list[tuple[Kind, str]] = []
    while not words.at_end():
        if found and not words.takes(","):
            raise words.wrong("a comma or the end")
        first = words.peek()
        kind, key, _ = _name(words)
        if kind == "dataset":
            raise words.refused("datasets are no column", first)
        if (kind, key) not in found:
            found.append((kind, key))
        if len(found) > MOST_NAMES:
            raise words.refused(f"at most {MOST_NAMES} columns are taken", first)
    return found


class _Parser:
    """Recursive descent, one method a rule."""

    def __init__(self, words: Words, now: float | None) -> None:
        self._words = words
        self._now = now
        self._conditions = 0

    def expression(self, depth: int) -> Expression:
        parts = [self._term(depth)]
        while self._words.takes("or"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _term(self, depth: int) -> Expression:
        parts = [self._factor(depth)]
        while self._words.takes("and"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self, depth: int) -> Expression:
        words = self._words
        first = words.peek()
        if depth > MOST_DEEP:
            raise words.refused(f"more than {MOST_DEEP} parentheses within each other", first)
        if words.takes("not"):
            return Not(self._factor(depth + 1))
        if words.takes("("):
            found = self.expression(depth + 1)
            if not words.takes(")"):
                raise words.wrong("and, or, or )", known=("and", "or"))
            return found
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise words.refused(f"more than {MOST_CONDITIONS} conditions", first)
        return self._condition(first)

    def _condition(self, first: Word) -> Condition:
        kind, key, _ = _name(self._words)
        op = self._operator(key)
        place = self._words.peek()
        value: Value = None
        if op in ("in", "not in"):
            value = self._list(kind, key)
        elif op not in ("null", "not null", "nan", "not nan"):
            value = self._value(kind, key)
        one = Condition(kind, key, op, value)
        if wrong := why_not(one):
            raise self._words.refused(wrong, place if value is not None else first)
        return one

    def _operator(self, key: str) -> str:
        words = self._words
        if words.peek().kind == "op":
            op = words.take().text
            return {"==": "=", "<>": "!="}.get(op, op)
        if words.takes("is"):
            no = "not " if words.takes("not") else ""
            for op in ("null", "nan"):
                if words.takes(op):
                    return no + op
            raise words.wrong("null or nan" if no else "null, nan or not", known=("null", "nan"))
        no = "not " if words.takes("not") else ""
        for op in ("in", "like", "ilike"):
            if words.takes(op):
                return no + op
        if no:
            raise words.wrong("in, like or ilike", known=("in", "like", "ilike"))
        wordy = _WORDY.get(words.peek().text.lower())
        raise words.wrong(
            f"{_OPERATORS} after {key[:40]}",
            known=("like", "ilike", "in", "is"),
            hint=f"Did you mean {wordy}?" if wordy else None,
        )

    def _list(self, kind: Kind, key: str) -> list[str] | list[float]:
        words = self._words
        if not words.takes("("):
            raise words.wrong("a list in parentheses, such as ('a', 'b')")
        found = [self._value(kind, key)]
        while words.takes(","):
            found.append(self._value(kind, key))
        if not words.takes(")"):
            raise words.wrong("a comma or the ) of the list")
        return found  # type: ignore[return-value]  # why_not refuses a mixed one

    def _value(self, kind: Kind, key: str) -> str | float:
        words = self._words
        place = words.peek()
        if place.kind == "number" or (place.kind == "word" and place.text.lower() == "inf"):
            return _number(words, words.take())
        if place.kind != "text":
            hint = f"Texts stand in quotes: '{place.text}'." if place.kind == "word" else None
            raise words.wrong("a number or a text in quotes", hint=hint)
        text = words.take().content
        if kind == "run" and key in NUMBERS:
            return _seconds(words, place, key, text, self._now)
        if kind == "run" and key == "status" and not _is_pattern(words):
            _check_status(words, place, text)
        return text


def _number(words: Words, place: Word) -> float:
    text = place.text
    if len(text) > _MOST_DIGITS:
        raise words.refused(f"a number has at most {_MOST_DIGITS} characters", place)
    number = float(text)
    if abs(number) == float("inf") and "inf" not in text.lower():
        raise words.refused(
            f"{text[:40]} is beyond every number", place, "Write inf for infinity."
        )
    if text.lstrip("+-").isdecimal() and int(text) != number:
        raise words.refused(
            f"{text[:40]} is compared as a float, and none has its value",
            place,
            f"Params and tags can be compared with it as text: '{text[:40]}'.",
        )
    return number


def _is_pattern(words: Words) -> bool:
    return words.peek(-2).text.lower() in ("like", "ilike")


def _check_status(words: Words, place: Word, text: str) -> None:
    known = [*map(str, RunStatus), *map(str, HaltState)]
    if text not in known:
        raise words.wrong(f"one of {', '.join(known)}", place, known=known)


def _name(words: Words, *, signed: bool = False) -> tuple[Kind, str, bool]:
    """Return kind and key of what is named, and whether a ``-`` stands in front."""
    place = words.take()
    if place.kind != "word":
        raise words.wrong("a name such as metrics.auc, params.C or started", place)
    falling = place.text.startswith("-")
    if falling and not signed:
        raise words.wrong("a name such as metrics.auc", place, hint="Leave out the minus.")
    text = place.text.removeprefix("-")
    head, dot, key = text.partition(".")
    if not dot:
        return "run", _attribute(words, place, text), falling
    kind = _ENTITIES.get(head.lower())
    if kind is None:
        raise words.wrong(f"one of {', '.join(_SHOWN)} before the dot", place, known=_SHOWN)
    following = words.peek()
    if not key and following.kind in ("odd", "text") and not following.after_space:
        key = words.take().content
    if not key or len(key) > 250:
        raise words.wrong(f"a key of 1 to 250 characters after {head}.", following)
    if kind == "run":
        key = _attribute(words, place, key)
    if kind == "dataset" and key not in OF_DATASETS:
        raise words.wrong(f"a dataset's {', '.join(OF_DATASETS)}", place, known=OF_DATASETS)
    return kind, key, falling


def _attribute(words: Words, place: Word, text: str) -> str:
    known = (*TEXTS, *NUMBERS)
    if text.lower() in known:
        return text.lower()
    asked = Word("word", text, place.at, place.after_space)
    near = words.wrong(
        f"an attribute ({', '.join(known)}), or metrics., params., tags.",
        asked,
        known=(*known, *_SHOWN),
    )
    if near.hint is None:
        near.hint = (
            f"A metric is {column('metric', text[:40])}, a param {column('param', text[:40])}."
        )
    raise near


def _seconds(words: Words, place: Word, key: str, text: str, now: float | None) -> float:
    """Return a time or a stretch of time that was written as text, in seconds."""
    if key == "duration":
        try:
            return seconds(text, "duration")
        except BadInputError as error:
            raise words.refused(error.message.rstrip("."), place, error.hint) from error
    if ago := _AGO.fullmatch(text.strip()):
        if now is None:
            raise words.refused(
                f"{text!r} counts from now, and nobody said what time it is", place
            )
        return now - seconds(ago[1])
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise words.refused(
            f"{text[:40]!r} is no time",
            place,
            "Times are '2026-11-01', '2026-11-01 14:30', '-7d' (ago), or UTC seconds.",
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
