"""Write plain Python values as JSON such that they come back exactly as they were.

JSON has no NaN, no tuple, no date and no key but text. Those are kept in a dict with one key
that begins with ``$``; a user's own dict of that shape is kept as ``$map``. Sets are written in
the order of their text, so that equal sets give equal bytes in every process.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import msgspec

from mainspring.ground.errors import NotExactError, ProjectError
from mainspring.pipelines import made

_INT64 = 2**63
_MAX_DEPTH = 200


def is_plain(value: Any, depth: int = 0) -> bool:
    """Return whether a value is made of plain parts only.

    Single numbers of numpy are plain, and dataclasses, Structs, named tuples and members of
    enums whose fields are plain.
    """
    kind = type(value)
    if value is None or kind in _LEAVES:
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind in (list, tuple, set, frozenset):
        return all(is_plain(part, depth + 1) for part in value)
    if kind is dict:
        return all(is_plain(k, depth + 1) and is_plain(v, depth + 1) for k, v in value.items())
    if _is_numpy_number(value) or made.is_member(value):
        return True
    fields = made.fields_of(value)
    return fields is not None and is_plain(fields, depth)


def is_simple(value: Any, depth: int = 0) -> bool:
    """Return whether a value is plain and of parts that any program knows: no classes, no sets."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, dt.date, dt.datetime, dt.timedelta):
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind in (list, tuple):
        return all(is_simple(part, depth + 1) for part in value)
    if kind is dict:
        return all(is_simple(k, depth + 1) and is_simple(v, depth + 1) for k, v in value.items())
    return _is_numpy_number(value) and value.dtype.kind in "biuf"


def simple(value: Any) -> Any:
    """Return a simple value with Python's own numbers in the place of numpy's."""
    kind = type(value)
    if kind in (list, tuple):
        return kind(simple(part) for part in value)
    if kind is dict:
        return {simple(key): simple(part) for key, part in value.items()}
    return value.item() if _is_numpy_number(value) else value


def to_json(value: Any) -> bytes:
    """Return a plain value as JSON text; equal values give equal bytes.

    The order of a dict is kept.

    Raises:
        ProjectError: if it is not plain.
        NotExactError: for text with half a surrogate pair, or a time in a zone without a name.
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
        return _write_numpy(value)
    if isinstance(value, Enum):
        named = kind.__members__.get(str(value.name)) is value  # flags put together have no name
        return {"$enum": [made.name_of(kind), value.name if named else value.value]}
    fields = made.fields_of(value)
    if fields is not None:
        return {"$object": [made.name_of(kind), [[k, _pack(v)] for k, v in fields.items()]]}
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
    if isinstance(value.tzinfo, zoneinfo.ZoneInfo) and value.tzinfo.key:
        told = [value.replace(tzinfo=None, fold=0).isoformat(), value.tzinfo.key, value.fold]
        return {"$zoned": told}
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise NotExactError(
            f"The time {value!r} carries a zone that has no name, and cannot be kept.",
            hint="Use UTC, .astimezone(datetime.UTC), or a zoneinfo.ZoneInfo.",
        )
    text = value.isoformat()
    return {"$later": text} if value.fold else {"$datetime": text}


def _read_zoned(told: list[Any]) -> dt.datetime:
    text, zone, fold = told
    found = dt.datetime.fromisoformat(text)
    return found.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold)


def _write_time(value: dt.time) -> dict[str, Any]:
    if value.tzinfo is not None and type(value.tzinfo) is not dt.timezone:
        raise NotExactError(f"The time {value!r} carries a zone, and cannot be kept.")
    return {"$time": [value.isoformat(), value.fold]}


def _read_map(pairs: list[list[Any]]) -> dict[Any, Any]:
    return {_unpack(key): _unpack(part) for key, part in pairs}


def _sorted(value: set[Any] | frozenset[Any]) -> list[Any]:
    return sorted((_pack(part) for part in value), key=msgspec.json.encode)


def _is_numpy_number(value: Any) -> bool:
    kind = type(value)
    if kind.__module__ != "numpy" or getattr(value, "ndim", None) != 0:
        return False
    return getattr(getattr(value, "dtype", None), "kind", "") in "biufcMmU" and (
        kind.__name__ not in ("ndarray", "longdouble", "float128", "clongdouble", "complex256")
    )


def _write_numpy(value: Any) -> dict[str, Any]:
    if value.dtype.kind in "Mm":  # a count of units since 1970, whatever the unit
        return {"$numpy": [value.dtype.str, int(value.astype("int64"))]}
    name = value.dtype.str if value.dtype.kind == "U" else value.dtype.name
    return {"$numpy": [name, _pack(value.item())]}


def _read_numpy(told: list[Any]) -> Any:
    import numpy as np

    name, inner = told
    kind = np.dtype(name)
    if kind.kind in "Mm":
        return np.array(inner, "int64").view(kind)[()]
    return kind.type(_unpack(inner))


_LEAVES = (
    *(bool, int, float, complex, str, range, Decimal, Fraction, uuid.UUID),
    *(dt.date, dt.datetime, dt.time, dt.timedelta),
)

_WRITE: dict[type, Callable[[Any], Any]] = {
    int: lambda value: value if -_INT64 <= value < _INT64 else {"$int": str(value)},
    float: lambda value: value if math.isfinite(value) else {"$float": repr(value)},
    list: lambda value: [_pack(part) for part in value],
    tuple: lambda value: {"$tuple": [_pack(part) for part in value]},
    dict: _pack_dict,
    set: lambda value: {"$set": _sorted(value)},
    frozenset: lambda value: {"$frozenset": _sorted(value)},
    complex: lambda value: {"$complex": [_pack(value.real), _pack(value.imag)]},
    range: lambda value: {"$range": [_pack(n) for n in (value.start, value.stop, value.step)]},
    Decimal: lambda value: {"$decimal": str(value)},
    Fraction: lambda value: {"$fraction": [_pack(value.numerator), _pack(value.denominator)]},
    uuid.UUID: lambda value: {"$uuid": str(value)},
    dt.time: _write_time,
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
    "$set": lambda parts: {_unpack(part) for part in parts},
    "$frozenset": lambda parts: frozenset(_unpack(part) for part in parts),
    "$complex": lambda parts: complex(*(_unpack(part) for part in parts)),
    "$range": lambda parts: range(*(_unpack(part) for part in parts)),
    "$decimal": Decimal,
    "$fraction": lambda parts: Fraction(*(_unpack(part) for part in parts)),
    "$uuid": uuid.UUID,
    "$zoned": _read_zoned,
    "$time": lambda told: dt.time.fromisoformat(told[0]).replace(fold=told[1]),
    "$numpy": _read_numpy,
    "$enum": lambda told: made.member(told[0], told[1]),
    "$object": lambda told: made.build(told[0], {k: _unpack(v) for k, v in told[1]}),
    "$duration": lambda parts: dt.timedelta(*parts),
}
