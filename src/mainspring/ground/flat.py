"""Flatten nested configuration to dotted keys, and say in what two of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One key that two configurations do not agree on; None: it is not there."""

    key: str
    before: str | None
    after: str | None


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Return the leaves of nested mappings by their dotted keys, as text.

    Text stands as it is, everything else as JSON, so that ``1`` and ``"1"`` in one file are alike
    only where a reader would take them for the same. Lists of mappings are gone into by place.

    >>> flatten({"a": {"b": 1.5, "c": [1, 2]}, "d": [{"e": None}]})
    {'a.b': '1.5', 'a.c': '[1, 2]', 'd[0].e': 'null'}
    """
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for key, part in value.items():
            found |= flatten(part, f"{prefix}.{key}" if prefix else str(key))
        return found
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        found = {}
        for place, part in enumerate(value):
            found |= flatten(part, f"{prefix}[{place}]")
        return found
    if not prefix:
        return {}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return {prefix: text}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """Return the keys that two flat configurations do not agree on, by name.

    >>> differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"})[0]
    Difference(key='a', before='1', after=None)
    """
    return [
        Difference(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
