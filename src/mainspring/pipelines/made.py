"""Values of classes that say their fields: dataclasses, Structs, named tuples, members of enums.

They are kept by their fields and the name of their class, and no code of theirs is needed to read
what was kept: a class is looked up by its name, and only where it is loaded already or is the
project's own. Nothing is imported because a kept value names it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import ProjectError
from mainspring.pipelines import project


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of a value that is nothing but its fields; None if it is something else.

    A dataclass whose objects carry more than its fields is something else, and so is a class
    that no other process can find by its name.
    """
    kind = type(value)
    if kind.__module__ == "builtins" or not _can_be_found(kind):
        return None
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    if isinstance(value, tuple):
        names = getattr(kind, "_fields", None)
        return dict(zip(names, value, strict=True)) if isinstance(names, tuple) else None
    if not dataclasses.is_dataclass(kind):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    more = set(getattr(value, "__dict__", ())) - set(names)
    if more or not all(hasattr(value, name) for name in names):
        return None
    return {name: getattr(value, name) for name in names}


def is_member(value: Any) -> bool:
    """Return whether a value is a member of an enum that another process can find."""
    return isinstance(value, Enum) and _can_be_found(type(value))


def name_of(kind: type) -> str:
    """Return how a class is called in what is kept: ``module:Name``."""
    module = kind.__module__
    if module == "__main__":  # a script that is run is another process's module of that name
        module = Path(getattr(sys.modules["__main__"], "__file__", "__main__")).stem
    return f"{module}:{kind.__qualname__}"


def build(name: str, fields: dict[str, Any]) -> Any:
    """Return a value of a class with the fields as they were; ``__init__`` is not run again.

    Raises:
        ProjectError: if the class is not there any more, or has other fields by now.
    """
    kind = _class(name)
    if issubclass(kind, msgspec.Struct):
        _same_fields(name, kind.__struct_fields__, fields)
        return kind(**fields)
    if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        _same_fields(name, kind._fields, fields)  # type: ignore[attr-defined]  # just seen
        return tuple.__new__(kind, fields.values())
    if not dataclasses.is_dataclass(kind):
        raise ProjectError(f"{name} was a class with fields when a step returned it.")
    _same_fields(name, tuple(field.name for field in dataclasses.fields(kind)), fields)
    made = object.__new__(kind)
    for field, value in fields.items():
        object.__setattr__(made, field, value)  # a frozen one too
    return made


def member(name: str, told: str | int) -> Any:
    """Return the member of an enum by its name, or of combined flags by their number.

    Raises:
        ProjectError: if there is none by now.
    """
    kind = _class(name)
    if not issubclass(kind, Enum):
        raise ProjectError(f"{name} was an Enum when a step returned it.")
    try:
        return kind[told] if isinstance(told, str) else kind(told)
    except (KeyError, ValueError) as error:
        raise ProjectError(
            f"{name} has no {told!r} by now, and a step returned it.",
            hint="Run the step again that made it.",
        ) from error


def _class(name: str) -> type:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module) or _users_module(module)
    if found is None:
        raise ProjectError(
            f"A step returned a {path} of {module}, which is not loaded here.",
            hint=f"Write `import {module}` in the file of the step that takes it.",
        )
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise ProjectError(
            f"A step returned a {path} of {module}, and there is no such class any more.",
            hint="Run the step again that made it.",
        )
    return found


def _users_module(module: str) -> Any:
    """Return a module of the project; None if it is not the project's, or not there."""
    top = module.partition(".")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None or not project.is_users(spec.origin):
        return None
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def _can_be_found(kind: type) -> bool:
    """Return whether the name of a class leads to it."""
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


def _same_fields(name: str, now: tuple[str, ...], kept: dict[str, Any]) -> None:
    if set(now) != set(kept):
        raise ProjectError(
            f"{name} has the fields {', '.join(now)} by now, and a step returned"
            f" {', '.join(kept)}.",
            hint="Run the step again that made it.",
        )
