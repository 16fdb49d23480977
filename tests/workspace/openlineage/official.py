"""Build OpenLineage events by the classes that its own generator made of its schemas."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import types
import typing
from typing import Any

import attr
from openlineage.client import generated
from openlineage.client.event_v2 import RunEvent


def _official() -> dict[str, type]:
    """Return the classes that the specification's own generator made, by address of the schema."""
    found: dict[str, type] = {}
    for file in pkgutil.iter_modules(generated.__path__):
        module = importlib.import_module(f"{generated.__name__}.{file.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and hasattr(kind, "_get_schema"):
                found[kind._get_schema()] = kind
    return found


OFFICIAL = _official()


def read(event: dict[str, Any]) -> Any:
    """Build an event by the client's own classes, which the specification's schemas became.

    Every key must be one that the schema has, every value of its type, and none that is needed may
    lack; the classes check ids, times and URLs themselves.
    """
    return checked(RunEvent, event, "event")


def checked(hint: Any, told: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        arms = [one for one in typing.get_args(hint) if one is not type(None)]
        assert len(arms) == 1, where
        return None if told is None else checked(arms[0], told, where)
    if origin is list:
        assert isinstance(told, list), where
        [inner] = typing.get_args(hint)
        return [checked(inner, one, f"{where}[{n}]") for n, one in enumerate(told)]
    if origin is dict:
        assert isinstance(told, dict), where
        _, inner = typing.get_args(hint)
        return {
            key: checked(_kind(inner, one), one, f"{where}.{key}") for key, one in told.items()
        }
    if attr.has(hint):
        return _of_class(hint, told, where)
    if issubclass(hint, enum.Enum):
        return hint(told)
    kinds = (int, float) if hint is float else (hint,)
    assert isinstance(told, kinds), (where, told)
    assert hint is bool or not isinstance(told, bool), where
    return told


def _kind(hint: Any, told: Any) -> Any:
    """Return the class of a facet by the schema that it names; of all else the hint."""
    if isinstance(told, dict) and "_schemaURL" in told:
        assert told["_producer"].startswith("urn:mainspring:")
        kind = OFFICIAL[told["_schemaURL"]]
        assert issubclass(kind, hint)
        return kind
    return hint


def _of_class(kind: Any, told: Any, where: str) -> Any:
    assert isinstance(told, dict), where
    hints = typing.get_type_hints(kind)
    fields = {one.name: one for one in attr.fields(kind) if not one.name.startswith("_")}
    plain = {key: value for key, value in told.items() if not key.startswith("_")}
    plain.pop("schemaURL", None)
    assert plain.keys() <= fields.keys(), (where, plain.keys() - fields.keys())
    needed = {name for name, one in fields.items() if one.default is attr.NOTHING and one.init}
    assert needed <= plain.keys() | {"schemaURL"}, (where, needed - plain.keys())
    built = kind(**{key: checked(hints[key], one, f"{where}.{key}") for key, one in plain.items()})
    if "schemaURL" in told:
        assert built.schemaURL == told["schemaURL"]
    return built
