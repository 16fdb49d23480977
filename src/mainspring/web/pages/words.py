"""Say times, figures and states as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec

#: What was decided or what a thing is -> the colour that means it. The word stands beside it.
_TONES = {
    "promote": "green",
    "promoted": "green",
    "finished": "green",
    "done": "green",
    "up": "green",
    "passed": "green",
    "roll_back": "red",
    "rolled_back": "red",
    "failed": "red",
    "refused": "red",
    "down": "red",
    "reverting": "red",
    "withdrawing": "red",
    "alarm": "amber",
    "open": "amber",
    "paused": "amber",
    "pause": "amber",
    "notice": "amber",
    "override": "amber",
    "canary": "blue",
    "shadow": "blue",
    "blue_green": "blue",
    "rollout": "blue",
    "running": "blue",
    "retrain": "violet",
    "training": "violet",
    "registering": "violet",
    "judging": "violet",
    "checking": "violet",
    "promoting": "green",
    "idle": "green",
    "reused": "teal",
    "champion": "green",
    "challenger": "blue",
}

_WORDS = {
    "roll_back": "rolled back",
    "rolled_back": "rolled back",
    "promote": "promoted",
    "reject": "rejected",
    "retrain": "retrain",
    "dismiss": "dismissed",
    "wait": "no retraining",
    "decline": "declined",
    "override": "override",
    "blue_green": "blue-green",
    "idle": "watching",
    "rollout": "rolling out",
    "score_drift": "score drift",
}


def tone(kind: object) -> str:
    """Return the name of the colour that a kind, state or outcome has."""
    return _TONES.get(str(kind), "grey")


def word(kind: object) -> str:
    """Return how a kind, state or outcome is called.

    >>> word("roll_back")
    'rolled back'
    """
    return _WORDS.get(str(kind), str(kind).replace("_", " "))


def when(seconds: float | None) -> str:
    """Return a UTC time to the minute.

    >>> when(0)
    '1 Jan 1970, 00:00'
    """
    at = _moment(seconds)
    return "" if at is None else f"{at.day} {at:%b %Y, %H:%M}"


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


def pretty(value: Any) -> str:
    """Return evidence as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def share(value: float | None) -> str:
    """Return a share in percent.

    >>> share(0.2)
    '20 %'
    """
    return "" if value is None else f"{100 * value:.3g} %"
