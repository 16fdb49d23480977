"""Refuse what would be altered or overlooked: inexact values and unknown fields, however deep."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.nearest import meant

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def refuse_inexact(value: Any, where: str = "") -> None:
    """Walk through a request and refuse what could not be kept exactly.

    Raises:
        NotExactError: naming the field, such as ``rows[3].distance``.
    """
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _text(value, where)
    elif isinstance(value, int):
        if not _LOWEST <= value <= _HIGHEST:
            raise _refusal(where, "an integer must fit in 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _refusal(where, f"a number must be finite, found {value}")
    else:
        _parts(value, where)


def refuse_unknown(given: Any, made: Any, where: str = "") -> None:
    """Refuse fields of nested records that nobody knows; msgspec overlooks those.

    Raises:
        BadInputError: naming the field, such as ``spec.gate.max_latencyms``.
    """
    if isinstance(made, msgspec.Struct) and isinstance(given, dict):
        known = dict(zip(made.__struct_encode_fields__, made.__struct_fields__, strict=True))
        for key, value in given.items():
            field = f"{where}.{key}" if where else str(key)
            if key not in known:
                raise BadInputError(
                    f"There is no field {field!r}.",
                    field=field,
                    hint=meant(str(key), known),
                )
            refuse_unknown(value, getattr(made, known[key]), field)
    elif isinstance(made, list | tuple) and isinstance(given, list | tuple):
        for index, (theirs, ours) in enumerate(zip(given, made, strict=True)):
            if not isinstance(ours, msgspec.Struct):
                return  # a list of plain values; one of records holds nothing else
            refuse_unknown(theirs, ours, f"{where}[{index}]")


def _parts(value: Any, where: str) -> None:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            refuse_inexact(getattr(value, name), f"{where}.{name}" if where else name)
    elif isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise _refusal(where, f"a key must be text, found {type(key).__name__}")
            _text(key, where)
            refuse_inexact(part, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            refuse_inexact(part, f"{where}[{index}]")
    else:
        raise _refusal(where, f"{type(value).__name__} is no JSON value")


def _text(value: str, where: str) -> None:
    if "\0" in value:
        raise _refusal(where, "text must not hold a zero byte")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _refusal(where, "text must be valid Unicode") from error


def _refusal(where: str, what: str) -> NotExactError:
    field = where[:200] or None
    return NotExactError(f"{field or 'The request'}: {what}.", field=field)
