"""Where values stand on an axis: numbers in a line or by magnitude, texts as places of their own.

A column is numeric if all its values read as numbers; it is drawn by logarithm if they are
positive and reach over more than two powers of ten, as learning rates do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from mainspring.web.pages import words

Cell = str | float | None
_DECADES = 2.0
MOST_PLACES = 24  #: texts that get a place of their own; the others share the last


class Tick(msgspec.Struct, frozen=True):
    """A mark on an axis: where, from 0 at the bottom to 1 at the top, and its word."""

    at: float
    word: str


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """An axis, and where each run stands on it."""

    kind: Literal["linear", "log", "words"]
    places: list[float | None]  #: one a run, 0 to 1; None where it has no value
    ticks: list[Tick]


def axis_of(values: Sequence[Cell]) -> Axis:
    """Return the axis that suits the values of a column, one a run.

    >>> axis_of(["0.001", "0.1", "10"]).kind, axis_of(["a", "b"]).kind
    ('log', 'words')
    """
    numbers = [number_in(value) for value in values]
    given = [number for value, number in zip(values, numbers, strict=True) if value is not None]
    if any(number is None for number in given) or not given:
        return _words(values)
    known = [number for number in numbers if number is not None and math.isfinite(number)]
    if not known:
        return Axis(kind="linear", places=[None] * len(values), ticks=[])
    low, high = min(known), max(known)
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
        return _log(numbers, low, high)
    return _linear(numbers, low, high)


def number_in(value: Cell) -> float | None:
    """Return the number that a cell is or reads as, or None."""
    if value is None or isinstance(value, float | int):
        return value
    try:
        return float(value) if len(value) <= 40 and "_" not in value else None
    except ValueError:
        return None


def _linear(numbers: Sequence[float | None], low: float, high: float) -> Axis:
    if low == high:  # all the same: in the middle, and its value once
        places = [0.5 if _is(number) else None for number in numbers]
        return Axis(kind="linear", places=places, ticks=[Tick(0.5, words.figure(low))])
    if not math.isfinite(high - low):  # as between -1e308 and 1e308
        halves = [None if n is None else n / 2 for n in numbers]
        return msgspec.structs.replace(_linear(halves, low / 2, high / 2), ticks=_ends(low, high))
    span = high - low
    return Axis(
        kind="linear",
        places=[(n - low) / span if _is(n) and n is not None else None for n in numbers],
        ticks=[Tick((at - low) / span, words.figure(at)) for at in round_steps(low, high)],
    )


def _ends(low: float, high: float) -> list[Tick]:
    return [Tick(0.0, words.figure(low)), Tick(1.0, words.figure(high))]


def _log(numbers: Sequence[float | None], low: float, high: float) -> Axis:
    first = math.log10(low)
    span = math.log10(high) - first
    places = [
        (math.log10(n) - first) / span if _is(n) and n is not None and n > 0 else None
        for n in numbers
    ]
    powers = range(math.ceil(first - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    step = max(1, len(powers) // 6)
    ticks = [Tick((power - first) / span, f"{10.0**power:.3g}") for power in powers[::step]]
    return Axis(kind="log", places=places, ticks=ticks)


def _words(values: Sequence[Cell]) -> Axis:
    told = [None if value is None else str(value) for value in values]
    names = sorted({name for name in told if name is not None}, key=_naturally)
    shown = names if len(names) <= MOST_PLACES else [*names[: MOST_PLACES - 1], "others"]
    last = max(len(shown) - 1, 1)
    at: Mapping[str, float] = {
        name: (min(n, last) / last if len(shown) > 1 else 0.5) for n, name in enumerate(names)
    }
    return Axis(
        kind="words",
        places=[None if name is None else at[name] for name in told],
        ticks=[Tick(n / last if len(shown) > 1 else 0.5, name) for n, name in enumerate(shown)],
    )


def _naturally(name: str) -> tuple[bool, float, str]:
    number = number_in(name)
    sound = number is not None and not math.isnan(number)
    return (not sound, number if sound and number is not None else 0.0, name)


def _is(number: float | None) -> bool:
    return number is not None and math.isfinite(number)


def round_steps(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from ``low`` to ``high``, about so many.

    >>> round_steps(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    found = []
    for n in range(first, first + about + 6):
        at = round(n * step, 12)
        if at > high + step * 1e-9:
            break
        found.append(at)
    return found or [low]
