"""Refuse a number outside its bounds, naming the field and what was found."""

from __future__ import annotations

from typing import Any

from mainspring.ground.errors import BadInputError


def within(field: str, value: float, low: float, high: float) -> None:
    """Refuse a value that is not above ``low`` and at most ``high``; NaN is refused too.

    >>> within("share", 0.5, 0, 1)

    Raises:
        BadInputError: naming the field.
    """
    if not low < value <= high:
        raise BadInputError(
            f"{field} must be above {low} and at most {high}, found {value}.", field=field
        )


def share(field: str, value: float) -> None:
    """Refuse a value that is no share, 0 to 1.

    Raises:
        BadInputError: naming the field.
    """
    if not 0 <= value <= 1:
        raise BadInputError(f"{field} is a share from 0 to 1, found {value}.", field=field)


def at_least(field: str, value: Any, least: float) -> Any:
    """Return a value that is ``least`` or more.

    >>> at_least("top", 3, 1)
    3

    Raises:
        BadInputError: naming the field.
    """
    if not value >= least:  # written so that NaN fails too
        raise BadInputError(f"{field} must be at least {least}, found {value}.", field=field)
    return value
