"""Turn the params that were given into the types a pipeline asks for."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, Union

import msgspec

from mainspring.ground.errors import BadInputError, NotExactError, ProjectError
from mainspring.ground.nearest import meant
from mainspring.pipelines.declare import Pipeline
from mainspring.pipelines.literals import check_literal

_MISSING = inspect.Parameter.empty
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a pipeline."""

    name: str
    type: str  #: as people read it, such as "int" or "float or None"
    required: bool
    default: Any = None


def parameters_of(pipeline: Pipeline[..., Any]) -> list[Parameter]:
    """Return the parameters of a pipeline in the order they are declared."""
    wanted = _annotations(pipeline)
    return [
        Parameter(
            name=name,
            type=_words(wanted[name]),
            required=parameter.default is _MISSING,
            default=None if parameter.default is _MISSING else parameter.default,
        )
        for name, parameter in inspect.signature(pipeline.function).parameters.items()
    ]


def resolve(pipeline: Pipeline[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter's value: what was given, as the annotated type, else its default.

    Text is read as the type: ``"0.1"`` for a float, ``"true"`` for a bool, JSON for a list.
    In a union, the first of None, bool, int, float and str that fits is taken. A parameter
    without annotation has the type of its default.

    Raises:
        BadInputError: for an unknown or missing parameter, or a value of another type.
        NotExactError: for a value that could not be stored as it is.
        ProjectError: if a default is not JSON-like.
    """
    out = fitted(pipeline, given)
    declared = inspect.signature(pipeline.function).parameters
    for name, parameter in declared.items():
        if name not in out:
            words = f"The default of parameter {name} of {pipeline.word} {pipeline.name}"
            out[name] = check_literal(parameter.default, words)
    return {name: out[name] for name in declared}


def fitted(
    pipeline: Pipeline[..., Any], given: Mapping[str, Any], *, later: Collection[str] = ()
) -> dict[str, Any]:
    """Return what was given as the annotated types; defaults are left to the function.

    Those of ``later`` may be missing: they are given with each call.

    Raises:
        BadInputError: for an unknown or missing parameter, or a value of another type.
        NotExactError: for a value that could not be stored as it is.
    """
    declared = inspect.signature(pipeline.function).parameters
    for name in given:
        if name not in declared:
            raise BadInputError(
                f"{pipeline.word.capitalize()} {pipeline.name} has no parameter"
                f" {str(name)[:80]!r}.",
                field=str(name),
                hint=meant(str(name), declared),
            )
    wanted = _annotations(pipeline)
    out: dict[str, Any] = {}
    for name, parameter in declared.items():
        words = f"parameter {name} of {pipeline.word} {pipeline.name}"
        if name in given:
            out[name] = _convert(given[name], wanted[name], name, words)
        elif parameter.default is _MISSING and name not in later:
            raise BadInputError(
                f"{pipeline.word.capitalize()} {pipeline.name} needs the parameter {name}"
                f" ({_words(wanted[name])}).",
                field=name,
            )
    return out


def _annotations(pipeline: Pipeline[..., Any]) -> dict[str, Any]:
    function = pipeline.function
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError) as error:
        raise ProjectError(
            f"The annotations of {pipeline.word} {pipeline.name} cannot be read: {error}."
        ) from error
    out = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        if name in hints:
            out[name] = hints[name]
        elif default is _MISSING or default is None:
            out[name] = Any
        else:
            out[name] = type(default)
    return out


def _convert(value: Any, wanted: Any, name: str, words: str) -> Any:
    """Return the value as the wanted type, or say what was found instead."""
    try:
        return check_literal(_as_type(value, wanted), words)
    except _NoFitError as error:
        told = f" ({error})" if str(error) else ""
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
        raise BadInputError(
            f"{words[0].upper()}{words[1:]} must be {_words(wanted)}, found {shown}{told}.",
            field=name,
        ) from error
    except NotExactError as error:
        raise NotExactError(error.message, field=name, hint=error.hint) from error
    except ProjectError as error:
        raise BadInputError(error.message, field=name) from error


class _NoFitError(ValueError):
    """A value is not of the type that is wanted."""


def _as_type(value: Any, wanted: Any) -> Any:
    if wanted is Any or wanted is _MISSING:
        return value
    origin = typing.get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _as_union(value, typing.get_args(wanted))
    if origin is typing.Annotated:
        return _as_type(value, typing.get_args(wanted)[0])
    if origin is Literal:
        return _as_literal(value, typing.get_args(wanted))
    reader = _READERS.get(origin or wanted)
    if reader is None:
        raise ProjectError(f"Parameters cannot be of the type {_words(wanted)}")
    found = reader(value)
    return _as_items(found, typing.get_args(wanted))


def _as_items(value: Any, inner: tuple[Any, ...]) -> Any:
    if isinstance(value, list) and inner:
        return [_as_type(item, inner[0]) for item in value]
    if isinstance(value, dict) and len(inner) == 2:
        return {key: _as_type(item, inner[1]) for key, item in value.items()}
    return value


def _as_union(value: Any, members: tuple[Any, ...]) -> Any:
    order = [types.NoneType, bool, int, float]
    same = [member for member in members if type(value) is member and member is not str]
    rest = sorted(
        (m for m in members if m not in same),
        key=lambda m: order.index(m) if m in order else (9 if m is str else 5),
    )
    for member in (*same, *rest):
        try:
            return _as_type(value, member)
        except _NoFitError:
            continue
    raise _NoFitError


def _as_literal(value: Any, allowed: tuple[Any, ...]) -> Any:
    for one in allowed:
        if type(one) is type(value) and one == value:
            return one
    for one in allowed:
        if isinstance(value, str) and str(one) == value:
            return one
    raise _NoFitError


def _as_none(value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value.lower() in ("none", "null")):
        raise _NoFitError


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise _NoFitError


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError as error:
            raise _NoFitError from error
    if isinstance(value, bool) or not isinstance(value, int):
        raise _NoFitError
    return value


def _as_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _NoFitError
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise _NoFitError from error
    if isinstance(value, int) and number != value:
        raise NotExactError(f"{value} has no float of its value.")
    if isinstance(value, str) and math.isinf(number) and "inf" not in value.lower():
        raise _NoFitError("it is too large")
    return number


def _as_str(value: Any) -> str:
    if not isinstance(value, str):
        raise _NoFitError
    return value


def _as_json(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeEncodeError) as error:
                raise _NoFitError("it is not JSON") from error
        if not isinstance(value, kind):
            raise _NoFitError
        return value

    return read


_READERS: dict[Any, Callable[[Any], Any]] = {
    types.NoneType: _as_none,
    bool: _as_bool,
    int: _as_int,
    float: _as_float,
    str: _as_str,
    list: _as_json(list),
    dict: _as_json(dict),
}


def _words(wanted: Any) -> str:
    """Return a type as people read it."""
    if wanted is Any or wanted is _MISSING:
        return "any value"
    origin = typing.get_origin(wanted)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(member) for member in typing.get_args(wanted))
    if origin is Literal:
        return " or ".join(repr(one) for one in typing.get_args(wanted))
    if wanted is types.NoneType:
        return "None"
    if origin is not None:
        return str(wanted).replace("typing.", "")
    return getattr(wanted, "__name__", str(wanted))
