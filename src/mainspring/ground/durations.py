"""Read and write stretches of time as people do: 90s, 15m, 6h, 7d, 2w."""

from __future__ import annotations

import re

from mainspring.ground.errors import BadInputError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def seconds(text: str | float, field: str = "duration") -> float:
    """Return a stretch of time in seconds; a bare number is seconds already.

    >>> seconds("7d"), seconds(90)
    (604800.0, 90.0)

    Raises:
        BadInputError: if it is neither a number nor a number with a unit, or is negative.
    """
    if not isinstance(text, str):
        if text < 0 or text != text or text == float("inf"):
            raise BadInputError(f"{field} must be 0 s or more, found {text}.", field=field)
        return float(text)
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise BadInputError(
            f"{field} must be a number and a unit, found {text!r}.",
            field=field,
            hint="Units are s, m, h, d, w: for example 90s, 15m, 6h, 7d, 2w.",
        )
    return float(found[1]) * _UNITS[found[2]]


def spoken(seconds_: float) -> str:
    """Return a stretch of time as a person would say it.

    >>> spoken(604800), spoken(5400), spoken(0.25)
    ('7 days', '1.5 hours', '0.25 s')
    """
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("min", 60.0)):
        if seconds_ >= size:
            return f"{seconds_ / size:.3g} {unit}"
    return f"{seconds_:.3g} s"
