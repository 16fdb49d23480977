"""How a step is run: the options of ``@step``, and what each may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import BadInputError


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is run, as it is kept in the graph: plain data only."""

    retries: int = 0  #: further tries after the step raised
    backoff_s: float = 1.0  #: before the first further try; then doubled each time
    timeout_s: float | None = None
    cache: bool = True  #: False: the step runs anew in every run


class Given(TypedDict, total=False):
    """What ``@step`` takes; :func:`settle` makes Options of it. ``expects`` is kept apart."""

    retries: int
    backoff_s: float
    timeout_s: float | None
    cache: bool
    expects: Contract | Mapping[str, Contract] | None


def settle(given: Mapping[str, Any]) -> Options:
    """Return the options of a step, each checked.

    Raises:
        BadInputError: naming the option that is unknown or cannot be so.
    """
    known = Options.__struct_fields__
    for name, value in given.items():
        if name not in known:
            raise BadInputError(
                f"A step has no option {name!r}.",
                field=name,
                hint=f"It has: {', '.join([*known, 'expects'])}.",
            )
        if name in _CHECKS:
            _CHECKS[name](name, value)
    return Options(**given)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, "a whole number, 0 or more", value)


def _seconds(name: str, value: object) -> None:
    if not _is_number(value) or not value >= 0:  # type: ignore[operator]
        raise _wrong(name, "0 or more", value)


def _limit(name: str, value: object) -> None:
    if value is not None and (not _is_number(value) or not value > 0):  # type: ignore[operator]
        raise _wrong(name, "above 0", value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(name: str, wanted: str, found: object) -> BadInputError:
    return BadInputError(f"{name} must be {wanted}, found {found!r}.", field=name)


#: One check an option; an option that takes anything has none.
_CHECKS: dict[str, Callable[[str, object], None]] = {
    "retries": _whole,
    "backoff_s": _seconds,
    "timeout_s": _limit,
}
