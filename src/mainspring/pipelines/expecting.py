"""What a step expects of the tables it is given, and who can check it.

The pipelines know contracts by name alone; whoever knows how to read tables is told to them
once (:func:`install`), by the workspace that opens both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.identity import key_of

#: (value, contract, what to call the value) -> raises a ContractError if it breaks it.
Keeper = Callable[[Any, Contract, str], None]

#: Where a function carries what it expects, so that its code's digest covers it.
MARK = "__mainspring_expects__"

_keepers: list[Keeper] = []


def install(keeper: Keeper) -> None:
    """Say who checks values against contracts from now on."""
    _keepers[:] = [keeper]


def settle(
    function: Callable[..., Any], expects: Contract | Mapping[str, Contract] | None
) -> dict[str, Contract]:
    """Return the contract of each argument; one alone is that of the first.

    Raises:
        BadInputError: if it is no contract, or of an argument that is not there.
    """
    if expects is None:
        return {}
    names = list(inspect.signature(function).parameters)
    if isinstance(expects, Contract):
        if not names:
            raise BadInputError(
                f"{function.__name__} takes nothing, so nothing can be expected of it.",
                field="expects",
            )
        expects = {names[0]: expects}
    if not isinstance(expects, Mapping):
        raise BadInputError(
            f"expects is a contract, or contracts by argument, found {type(expects).__name__}.",
            field="expects",
            hint="A file of one: expects=ms.load_contract('contract.yaml').",
        )
    for name, contract in expects.items():
        if name not in names:
            raise BadInputError(
                f"{function.__name__} has no argument {name!r}; it has {', '.join(names)}.",
                field="expects",
            )
        if not isinstance(contract, Contract):
            raise BadInputError(
                f"expects[{name!r}] is a {type(contract).__name__}, not a contract.",
                field="expects",
            )
    return dict(expects)


def mark(function: Callable[..., Any], expects: Mapping[str, Contract]) -> None:
    """Write on a function what it expects."""
    if expects:
        setattr(function, MARK, dict(expects))


def parts(function: Callable[..., Any]) -> dict[str, str]:
    """Return a digest of each contract, for the key of a step's result."""
    found: Mapping[str, Contract] = getattr(function, MARK, {})
    return {f"contract {name}": key_of(contract) for name, contract in found.items()}


def keep(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Check what a step was given against what it expects.

    Raises:
        ContractError: naming argument, column, what was found and what was wanted.
    """
    found: Mapping[str, Contract] = getattr(function, MARK, {})
    for name, contract in found.items():
        if name not in arguments:
            continue
        if not _keepers:
            raise ProjectError(
                f"Nobody is here who could check what {function.__name__} expects.",
                hint="Write import mainspring as ms, and @ms.step.",
            )
        _keepers[0](arguments[name], contract, f"{name} of step {function.__name__}")


def keep_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Check the arguments of a plain call; a call that does not fit is left to Python."""
    if not getattr(function, MARK, {}):
        return
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return
    keep(function, bound.arguments)
