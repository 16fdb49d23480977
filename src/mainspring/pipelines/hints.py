"""What a step's type hints say of its inputs and its result, where they say it simply.

A hint counts only if it is a class, a generic of one (then the class alone counts), or a union of
such. Whatever else it is, such as a Protocol or a TypeVar, nothing is said of it: never guess.
"""

from __future__ import annotations

import numbers
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainspring.ground.errors import NotExactError, StepFailedError
from mainspring.pipelines.outputs import is_frame
from mainspring.pipelines.outputs.files import PARQUET
from mainspring.pipelines.outputs.forms import library

#: What a type checker takes for these although it is no such class.
_ALSO: dict[type, type] = {
    float: numbers.Real,
    int: numbers.Integral,
    complex: numbers.Complex,
    bytes: bytearray,
}
_FRAMES = {
    ("polars", "DataFrame"),
    ("polars", "LazyFrame"),
    ("pandas", "DataFrame"),
    ("pyarrow", "Table"),
}


def of(function: Callable[..., Any]) -> dict[str, tuple[type, ...]]:
    """Return for each argument, and for ``return``, the classes a value may have.

    Names whose hint is not simple, or that cannot be resolved, are not among them.

    >>> def load(path: str, rows: "int | None", how: "list[str]") -> float: ...
    >>> of(load)["rows"], of(load)["how"]
    ((<class 'int'>, <class 'NoneType'>), (<class 'list'>,))
    """
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  a hint is the user's code: one that fails says nothing
        return {}
    found = {name: _classes(hint) for name, hint in hints.items()}
    return {name: classes for name, classes in found.items() if classes}


def count(function: Callable[..., Any]) -> int | None:
    """Return into how many parts a result can be unpacked, where a tuple's hint says it.

    >>> def split(rows: list) -> tuple[list, list]: ...
    >>> count(split), count(len)
    (2, None)
    """
    try:
        hint = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001  as above
        return None
    if typing.get_origin(hint) is not tuple or Ellipsis in typing.get_args(hint):
        return None
    return len(typing.get_args(hint))


def is_lazy(classes: tuple[type, ...]) -> bool:
    """Return whether an argument wants a frame that is not read yet."""
    return [_name(one) for one in classes if one is not type(None)] == [("polars", "LazyFrame")]


def check_result(function: Callable[..., Any], value: Any, step: str) -> Any:
    """Return what a step returned, a list as the tuple its function says; fail on all else.

    Raises:
        StepFailedError: naming the step, what it says and what it returned.
    """
    wanted = of(function).get("return")
    if wanted is None or any(_is(value, one) for one in wanted):
        return value
    said = " | ".join(_told(one) for one in wanted)
    if tuple in wanted and isinstance(value, list):  # as scikit-learn's train_test_split
        parts = count(function)
        if parts in (None, len(value)):
            return tuple(value)
        raise StepFailedError(
            f"Step {step} returned a list of {len(value):,}, and its function says that it"
            f" returns a tuple of {parts}.",
            hint="Return as many as it says, as a tuple: return tuple(...).",
        )
    raise StepFailedError(
        f"Step {step} returned a value of type {_told(type(value))}, and its function says that"
        f" it returns {said}.",
        hint=f"Correct the hint (`-> {_told(type(value))}`) or what is returned.",
    )


def fitted(
    function: Callable[..., Any], arguments: Mapping[str, Any], step: str
) -> dict[str, Any]:
    """Return the arguments, each table as the kind of table that its hint asks for.

    Raises:
        StepFailedError: if that would lose something, naming the argument.
    """
    wanted = of(function)
    return {
        name: _fitted(value, wanted[name], f"{name} of step {step}") if name in wanted else value
        for name, value in arguments.items()
    }


def _fitted(value: Any, wanted: tuple[type, ...], what: str) -> Any:
    frames = [one for one in wanted if _name(one) in _FRAMES]
    if len(frames) != 1 or any(_is(value, one) for one in wanted):
        return value
    asked = _name(frames[0])
    try:
        if asked == ("polars", "LazyFrame") and isinstance(value, Path):
            return _scanned(value, what)
        if not is_frame(value) and _name(type(value)) != ("pyarrow", "Table"):
            raise NotExactError("it is no table.")
        return _INTO[asked](value)
    except NotExactError as error:
        raise StepFailedError(
            f"{what} is a {_told(type(value))} and should be a {_told(frames[0])}:"
            f" {error.message}",
            hint=error.hint,
        ) from error


def _scanned(path: Path, what: str) -> Any:
    import polars as pl

    if path.suffix.lower() in PARQUET:
        return pl.scan_parquet(path)
    parts = sorted(one for one in path.rglob("*") if one.suffix.lower() in PARQUET)
    if not parts:
        raise NotExactError(f"{what} holds no Parquet.")
    return pl.scan_parquet(parts, hive_partitioning=True)


def _to_polars(value: Any) -> Any:
    import polars as pl

    kind = library(value)
    if isinstance(value, pl.LazyFrame):
        return value.collect()  # the hint asks for all of it in memory
    if kind == "pyarrow":
        found = pl.from_arrow(value)
        return found if isinstance(found, pl.DataFrame) else found.to_frame()
    if kind == "pandas":
        if type(value.index).__name__ != "RangeIndex" or value.index.start or value.index.name:
            raise NotExactError(
                "it has an index of its own, which would be lost.",
                hint="Return frame.reset_index() from the step before.",
            )
        try:
            return pl.from_pandas(value)
        except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
            raise NotExactError(f"its columns cannot be those of polars: {error}") from error
    return value


def _to_lazy(value: Any) -> Any:
    return _to_polars(value).lazy()


def _to_pandas(value: Any) -> Any:
    if library(value) == "pyarrow":
        return value.to_pandas()
    frame = _to_polars(value)
    lossy = [
        name
        for name, kind in frame.schema.items()
        # numpy has no integer or truth that is missing: pandas would make them floats or objects
        if (kind.is_integer() or str(kind) == "Boolean") and frame[name].null_count()
    ]
    if lossy:
        raise NotExactError(
            f"missing values of {', '.join(lossy)} would change the column's type.",
            hint="Take a polars frame, or fill them first.",
        )
    return frame.to_pandas()


def _to_arrow(value: Any) -> Any:
    if library(value) == "pandas":
        import pyarrow as pa

        return pa.Table.from_pandas(value)
    return _to_polars(value).to_arrow()


_INTO: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("polars", "DataFrame"): _to_polars,
    ("polars", "LazyFrame"): _to_lazy,
    ("pandas", "DataFrame"): _to_pandas,
    ("pyarrow", "Table"): _to_arrow,
}


def _classes(hint: Any) -> tuple[type, ...]:
    """Return the classes of a simple hint; none if it is not simple."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _classes(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        parts = [_classes(part) for part in typing.get_args(hint)]
        return tuple(one for part in parts for one in part) if all(parts) else ()
    if origin is not None:
        hint = origin
    if not isinstance(hint, type) or hint is object:
        return ()
    if getattr(hint, "_is_protocol", False) or typing.is_typeddict(hint):
        return ()
    return (hint,)


def _is(value: Any, kind: type) -> bool:
    try:
        if isinstance(value, kind):
            return True
    except TypeError:  # a class that answers for no instance
        return True
    if kind is bool:
        return _name(type(value)) == ("numpy", "bool") or _name(type(value)) == ("numpy", "bool_")
    return kind in _ALSO and isinstance(value, _ALSO[kind])


def _name(kind: type) -> tuple[str, str]:
    return kind.__module__.partition(".")[0], kind.__name__


def _told(kind: type) -> str:
    """Return how people call a class."""
    top, name = _name(kind)
    return name if top in ("builtins", "pathlib") else f"{top}.{name}"
