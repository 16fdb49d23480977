"""Functions that wire steps by the values they are given while a run goes on: ``@dynamic``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from mainspring.pipelines.declare import Step, check_function
from mainspring.pipelines.options import Given, settle

P = ParamSpec("P")
R = TypeVar("R")


class Dynamic(Step[P, R]):
    """A function that is given values while a run goes on, and wires steps by what they are."""

    kind = "dynamic"

    def __repr__(self) -> str:
        return f"<dynamic {self.name}>"


@overload
def dynamic(function: Callable[P, R], /) -> Dynamic[P, R]: ...
@overload
def dynamic(**given: Unpack[Given]) -> Callable[[Callable[P, R]], Dynamic[P, R]]: ...
def dynamic(
    function: Callable[P, R] | None = None, /, **given: Unpack[Given]
) -> Dynamic[P, R] | Callable[[Callable[P, R]], Dynamic[P, R]]:
    """Make a function one whose body wires steps, and is given *values* while the run goes on.

    It may ask the values anything: how long a list is, whether a number is large. What it wires
    then joins the run's graph, under names such as ``plan.fit``; steps are called with plain data,
    or with a value that was given, handed on as it is. It takes the options of :func:`step` that
    say how long and how often it is tried; its steps have their own.

    >>> @dynamic
    ... def each(names: list[str]) -> list[str]:
    ...     return [name.upper() for name in names]
    >>> each(["a", "b"])
    ['A', 'B']

    Raises:
        ProjectError: if it is no plain named function.
    """
    kept: dict[str, Any] = dict(given)
    expects = kept.pop("expects", None)
    options = settle(kept)
    if function is not None:
        return Dynamic(check_function(function, "dynamic function"), options, expects)
    return lambda one: Dynamic(check_function(one, "dynamic function"), options, expects)
