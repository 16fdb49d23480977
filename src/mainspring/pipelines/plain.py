"""Write plain Python values as JSON such that they come back exactly as they were.

JSON has no NaN, no tuple, no date and no key but text. Those are kept in a dict with one key
that begins with ``$``; a user's own dict of that shape is kept as ``$map``.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import msgspec

from mainspring.ground.errors import NotExactError, ProjectError

_INT64 = 2**63
_MAX_DEPTH = 200


def is_plain(value: Any, depth: int = 0) -> bool:
    """Return whether a value is made of plain parts only; numpy's single numbers count."""
    kind = type(value)
    if value is None or kind in _LEAVES:
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind in (list, tuple):
        return all(is_plain(part, depth + 1) for part in value)
    if kind is dict:
        return all(is_plain(k, depth + 1) and is_plain(v, depth + 1) for k, v in value.items())
    return _is_numpy_number(value)


def to_json(value: Any) -> bytes:
    """Return a plain value as JSON text; equal values give equal bytes.

    A numpy number becomes the Python number of the same value. The order of a dict is kept.

    Raises:
        ProjectError: if it is not plain.
        NotExactError: for text with half a surrogate pair, or a time with a named zone.
    """
    try:
        return msgspec.json.encode(_pack(value))
    except UnicodeEncodeError as error:
        raise NotExactError("Text with half a surrogate pair cannot be kept.") from error


def from_json(data: bytes) -> Any:
    """Return the value that ``to_json`` was given."""
    return _unpack(msgspec.json.decode(data))


def _pack(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind in _WRITE:
        return _WRITE[kind](value)
    if _is_numpy_number(value):
        return _pack(value.item())
    raise ProjectError(f"A {kind.__module__}.{kind.__qualname__} is not plain data.")


def _pack_dict(value: dict[Any, Any]) -> dict[str, Any]:
    own = len(value) == 1 and all(type(k) is str and k.startswith("$") for k in value)
    if own or any(type(key) is not str for key in value):
        return {"$map": [[_pack(k), _pack(v)] for k, v in value.items()]}
    return {key: _pack(part) for key, part in value.items()}


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(part) for part in value]
    if isinstance(value, dict):
        if len(value) == 1:
            tag, inner = next(iter(value.items()))
            if tag in _READ:
                return _READ[tag](inner)
        return {key: _unpack(part) for key, part in value.items()}
    return value


def _write_datetime(value: dt.datetime) -> dict[str, Any]:
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise NotExactError(
            f"The time {value!r} carries a named zone, which cannot be kept.",
            hint="Use UTC: .astimezone(datetime.UTC).",
        )
    text = value.isoformat()
    return {"$later": text} if value.fold else {"$datetime": text}


def _read_map(pairs: list[list[Any]]) -> dict[Any, Any]:
    return {_unpack(key): _unpack(part) for key, part in pairs}


def _is_numpy_number(value: Any) -> bool:
    kind = type(value)
    if kind.__module__ != "numpy" or getattr(value, "ndim", None) != 0:
        return False
    return getattr(getattr(value, "dtype", None), "kind", "") in "biuf" and kind.__name__ not in (
        "ndarray",
        "longdouble",
        "float128",
    )


_LEAVES = (bool, int, float, str, dt.date, dt.datetime, dt.timedelta)

_WRITE: dict[type, Callable[[Any], Any]] = {
    int: lambda value: value if -_INT64 <= value < _INT64 else {"$int": str(value)},
    float: lambda value: value if math.isfinite(value) else {"$float": repr(value)},
    list: lambda value: [_pack(part) for part in value],
    tuple: lambda value: {"$tuple": [_pack(part) for part in value]},
    dict: _pack_dict,
    dt.date: lambda value: {"$date": value.isoformat()},
    dt.datetime: _write_datetime,
    dt.timedelta: lambda value: {"$duration": [value.days, value.seconds, value.microseconds]},
}

_READ: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$tuple": lambda parts: tuple(_unpack(part) for part in parts),
    "$map": _read_map,
    "$date": dt.date.fromisoformat,
    "$datetime": dt.datetime.fromisoformat,
    "$later": lambda text: dt.datetime.fromisoformat(text).replace(fold=1),
    "$duration": lambda parts: dt.timedelta(*parts),
}
