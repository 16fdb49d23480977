"""Read values out of an event, for params and for filters. Nothing is evaluated."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainspring.ground.errors import BadInputError

_NAMED = re.compile(r"\{event((?:\.[A-Za-z0-9_\-]+)+)\}")
_FILTER = re.compile(
    r"(?:event\.)?([A-Za-z0-9_.\-]+)\s*(!=|>=|<=|=|>|<|\blike\b)\s*(.*)", re.DOTALL
)
_MOST_TEXT = 20_000


def filled(params: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return params with every ``{event.NAME}`` in their texts replaced by what the event says.

    A text that is nothing but one of them becomes the value itself, of its own type; points
    lead into objects, and numbers into lists.

    >>> filled({"a": "{event.n}", "b": "v{event.x.0}"}, {"n": 3, "x": ["y"]})
    {'a': 3, 'b': 'vy'}

    Raises:
        BadInputError: if the event has no such value.
    """
    return {name: _filled(value, event, name) for name, value in params.items()}


def _filled(value: Any, event: Mapping[str, Any], name: str) -> Any:
    if not isinstance(value, str):
        return value
    whole = _NAMED.fullmatch(value)
    if whole:
        return _read(event, whole[1], name)
    text = _NAMED.sub(lambda found: _text(_read(event, found[1], name)), value)
    if len(text) > _MOST_TEXT:
        raise BadInputError(f"{name} would have {len(text):,} characters.", field=name)
    return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _read(event: Mapping[str, Any], path: str, name: str) -> Any:
    at: Any = event
    for part in path.strip(".").split("."):
        if isinstance(at, Mapping) and part in at:
            at = at[part]
        elif isinstance(at, list) and part.isdecimal() and len(part) < 7 and int(part) < len(at):
            at = at[int(part)]
        else:
            raise BadInputError(
                f"The event has no {path.strip('.')!r}, which {name} asks for.",
                field=name,
                hint=f"It has: {', '.join(sorted(map(str, event)))[:200]}.",
            )
    return at


def check(filters: Sequence[str]) -> None:
    """Refuse filters that cannot be read.

    Raises:
        BadInputError: naming the one.
    """
    for one in filters:
        _parted(one)


def why_not(filters: Sequence[str], event: Mapping[str, Any]) -> str:
    """Return which filter an event does not pass, in words; empty if it passes all.

    A filter is ``NAME OP VALUE`` with one of ``=  !=  >  >=  <  <=  like`` (a pattern with ``*``);
    where both sides are numbers they are compared as numbers. What is not there passes only
    ``!=``.

    >>> why_not(["ref = refs/heads/main", "rows >= 100"], {"ref": "refs/heads/main", "rows": 90})
    'its filter rows >= 100 does not hold: found 90'
    """
    for one in filters:
        path, operator, wanted = _parted(one)
        try:
            found = _read(event, path, "filter")
        except BadInputError:
            if operator == "!=":
                continue
            return f"its filter {one} does not hold: the event has no {path}"
        if not _holds(found, operator, wanted):
            return f"its filter {one} does not hold: found {str(found)[:100]}"
    return ""


def _parted(text: str) -> tuple[str, str, str]:
    found = _FILTER.fullmatch(text.strip())
    if found is None:
        raise BadInputError(
            f"{text[:200]!r} is no filter.",
            field="filter",
            hint="Written NAME OP VALUE, such as 'ref = refs/heads/main' or 'rows >= 100'.",
        )
    return found[1], found[2], found[3].strip().strip("'\"")


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def _holds(found: Any, operator: str, wanted: str) -> bool:
    text = str(found)
    if found is None or isinstance(found, bool):
        text = {None: "null", True: "true", False: "false"}[found]  # as JSON writes them
    if operator == "like":
        return fnmatch.fnmatchcase(text, wanted)
    try:
        return _ORDER[operator](float(text), float(wanted))
    except ValueError:
        return _ORDER[operator](text, wanted)
