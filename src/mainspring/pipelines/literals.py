"""Values that are written into a graph: JSON-like, and exactly themselves when read back."""

from __future__ import annotations

import math
from typing import Any

from mainspring.ground.errors import NotExactError, ProjectError

INT64 = 2**63
MAX_DEPTH = 64


def check_literal(value: Any, name: str, *, depth: int = 0) -> Any:
    """Return a value of None, bool, int, float, str, lists and dicts of these, unchanged.

    ``name`` is what the messages call it, such as ``"argument trees of step train"``.

    Raises:
        ProjectError: if it holds anything else.
        NotExactError: if JSON could not give it back as it was: NaN, an infinity, more than
            64 bits, half of a surrogate pair.
    """
    if depth > MAX_DEPTH:
        raise ProjectError(f"{name} is nested deeper than {MAX_DEPTH} levels.")
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _check_int(value, name)
    if kind is float:
        return _check_float(value, name)
    if kind is str:
        return _check_text(value, name)
    if kind is list:
        for index, item in enumerate(value):
            check_literal(item, f"{name}[{index}]", depth=depth + 1)
        return value
    if kind is dict:
        return _check_dict(value, name, depth)
    raise ProjectError(
        f"{name} is a {kind.__module__}.{kind.__qualname__}; it must be None, a bool, a number,"
        " text, or a list or dict of these.",
        hint="Make other values inside of a step and return them from it.",
    )


def _check_dict(value: dict[Any, Any], name: str, depth: int) -> dict[Any, Any]:
    for key, item in value.items():
        if type(key) is not str:
            raise ProjectError(f"{name} has the key {key!r}; keys must be text.")
        _check_text(key, name)
        check_literal(item, f"{name}[{key!r}]", depth=depth + 1)
    return value


def _check_int(value: int, name: str) -> int:
    if not -INT64 <= value < INT64:
        raise NotExactError(f"{name} does not fit 64 bits.", hint="Give it as text.")
    return value


def _check_float(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise NotExactError(
            f"{name} is {value}, which JSON cannot hold.", hint="Use None, or text."
        )
    return value


def _check_text(value: str, name: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value) or "\x00" in value:
        raise NotExactError(f"{name} holds a NUL or half a surrogate pair.")
    return value
