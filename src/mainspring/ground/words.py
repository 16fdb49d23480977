"""Say times, figures and shares as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec


def when(seconds: float | None) -> str:
    """Return a UTC time to the minute.

    >>> when(0)
    '1 Jan 1970, 00:00'
    """
    at = _moment(seconds)
    return "" if at is None else f"{at.day} {at:%b %Y, %H:%M}"


def short(seconds: float | None, now: float) -> str:
    """Return a UTC time to the minute, with its year only if that is not the present one.

    >>> short(0, 86_400), short(0, 86_400 * 400)
    ('1 Jan, 00:00', '1 Jan 1970')
    """
    at, today = _moment(seconds), _moment(now)
    if at is None:
        return ""
    if today is not None and at.year != today.year:
        return f"{at.day} {at:%b %Y}"
    return f"{at.day} {at:%b, %H:%M}"


def aligned(values: Sequence[float | None]) -> list[str]:
    """Return the numbers of a column with as many decimals each, so that they can be compared.

    >>> aligned([0.5, 0.34567, None]), aligned([1.0, 20.0]), aligned([1e-9, 0.5])
    (['0.5000', '0.3457', ''], ['1', '20'], ['1e-09', '0.5'])
    """
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    whole = all(value.is_integer() for value in known)
    tiny = any(0 < value < 1e-3 for value in known)
    if not known or whole or tiny or max(known) >= 1000:
        return [figure(value) for value in values]
    decimals = 4 if max(known) < 10 else 3 if max(known) < 100 else 2
    return [
        figure(value) if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"
        for value in values
    ]


def day(seconds: float | None) -> str:
    """Return the UTC day of a time.

    >>> day(86_400)
    '2 Jan 1970'
    """
    at = _moment(seconds)
    return "" if at is None else f"{at.day} {at:%b %Y}"


def stamp(seconds: float | None) -> str:
    """Return a UTC time for machines, or nothing if it is beyond the calendar."""
    at = _moment(seconds)
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%S}Z"


def _moment(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def lasting(seconds: float | None) -> str:
    """Return a length of time in its two largest units.

    >>> lasting(0.25), lasting(75), lasting(2 * 86_400 + 3600)
    ('250 ms', '1 min 15 s', '2 d 1 h')
    """
    if seconds is None or seconds < 0 or not math.isfinite(seconds):
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    rest = round(seconds)
    said: list[str] = []
    for name, size in units:
        number, rest = divmod(rest, size)
        if number and len(said) < 2:
            said.append(f"{number} {name}")
        elif said:
            break
    return " ".join(said)


def minutes(seconds: float) -> str:
    """Return how long something has gone on, to the minute.

    A page that is kept fresh must not change with every second.

    >>> minutes(12), minutes(3_700)
    ('under a minute', '1 h 1 min')
    """
    whole = int(seconds // 60) * 60
    return lasting(whole) if whole else "under a minute"


def clip(text: object, most: int) -> str:
    """Return the beginning of a text, and how much of it is left out.

    >>> clip("abcdef", 3), clip("abc", 3)
    ('abc… (3 more characters)', 'abc')
    """
    whole = str(text)
    if len(whole) <= most:
        return whole
    return f"{whole[:most]}… ({len(whole) - most:,} more characters)"


def figure(value: Any) -> str:
    """Return a number in four digits, a text as it is, nothing for None.

    >>> figure(0.123456), figure(1234567), figure(None), figure("x")
    ('0.1235', '1,234,567', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def size(number: float) -> str:
    """Return a number of bytes in its largest unit.

    >>> size(0), size(1500), size(3_400_000)
    ('0 B', '1.5 kB', '3.4 MB')
    """
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= one:
            return f"{number / one:.3g} {unit}"
    return f"{number:.0f} B"


def pretty(value: Any) -> str:
    """Return evidence as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def share(value: float | None) -> str:
    """Return a share in percent.

    >>> share(0.2)
    '20 %'
    """
    return "" if value is None else f"{100 * value:.3g} %"
