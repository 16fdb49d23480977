"""Say how much traffic was to be expected in a window, learned from the windows before it.

Traffic has its times: a window is compared with earlier ones at the same hour of the season (a
week, unless another is declared), with too few of them at the same hour of the day, else with
all. The scatter around the levels of a kind is shared by all hours. Nothing is said before one
season was seen. What is learned travels from window to window in the finding ``volume``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mainspring.ground.objects import DAY_S
from mainspring.numerics.quantiles import student_quantile

WEEK_S, HOUR_S = 7 * DAY_S, 3600.0
#: Windows at a level before it is gone by, and in all before anything is said.
LEAST_AT_LEVEL = 3
LEAST_IN_ALL = 8
#: Scatter is known from so many windows, or it is not known.
LEAST_DEGREES = 4
#: Traffic jumps more often than a normal distribution does: tails of so few degrees of freedom
#: kept false alarms near the promise in simulations with Student's t of 4 degrees as noise.
HEAVY = 5
#: Older windows fade: a level follows the last so many, more or less.
MEMORY = 26
#: Besides being outside of the band, traffic must be this many times less or more.
FACTOR = 2.0

#: ``levels``: key -> (windows, mean log rate); ``scatter``: kind of level -> (squares, degrees).
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Band:
    """How many rows a window was to have."""

    expected: float
    low: float
    high: float
    level: str  # which windows it was learned from, in words
    windows: int


def levels(start: float, length: float, season: float = WEEK_S) -> list[tuple[str, str]]:
    """Return the keys of the levels a window belongs to, the narrowest first, with words.

    Times are in seconds; ``season`` 0 means that there is none. A level spans an hour or the
    window's length, whatever is longer.

    >>> [words for _, words in levels(7 * 3600.0, 3600.0)]
    ['this time of the season', 'this time of the day', 'all times']
    >>> [words for _, words in levels(0.0, 86400.0, season=0.0)]
    ['all times']
    """
    found, step = [], max(length, HOUR_S)
    if step < season:
        found.append((f"s{int(start % season // step)}", "this time of the season"))
    if step < DAY_S < season:
        found.append((f"d{int(start % DAY_S // step)}", "this time of the day"))
    return [*found, ("all", "all times")]


def expected(
    state: State, start: float, length: float, alpha: float, season: float = WEEK_S
) -> Band | None:
    """Return the band that a window's rows leave with the chance ``alpha``; None: not learned yet.

    The band is that of Student's t for one more value, on the logarithm of the rate; it is never
    narrower than chance makes counts of this size (Poisson).
    """
    known, scatter = state.get("levels", {}), state.get("scatter", {})
    if float(state.get("windows", 0)) < LEAST_IN_ALL or length <= 0:
        return None
    if float(state.get("seen_s", 0.0)) < season:
        return None
    for key, words in levels(start, length, season):
        count, mean = known.get(key, (0.0, 0.0))
        squares, degrees = scatter.get(key[0], (0.0, 0.0))
        if count < LEAST_AT_LEVEL or degrees < LEAST_DEGREES:
            continue
        middle = math.exp(mean) * length
        own = squares / degrees
        spread = math.sqrt(max(own, 1 / max(middle, 0.5)) * (1 + 1 / count))
        reach = student_quantile(1 - alpha / 2, min(int(degrees), HEAVY)) * spread
        low = middle * math.exp(-reach)
        return Band(middle, low, middle * math.exp(reach), words, int(count))
    return None


def learned(
    state: State,
    start: float,
    length: float,
    rows: int,
    band: Band | None,
    season: float = WEEK_S,
) -> State:
    """Return what is known after one more window.

    A window far outside of its band pulls only as far as the band's end: one quiet holiday must
    not teach that quiet is usual, a lasting change is learned in some windows.
    """
    value = math.log((rows + 0.5) / length)
    if band is not None:
        low = math.log((min(band.low, band.expected / FACTOR) + 0.5) / length)
        high = math.log((max(band.high, band.expected * FACTOR) + 0.5) / length)
        value = min(max(value, low), high)
    known = {key: list(pair) for key, pair in state.get("levels", {}).items()}
    scatter = {kind: list(pair) for kind, pair in state.get("scatter", {}).items()}
    keep = 1 - 1 / (4 * MEMORY)
    for key, _ in levels(start, length, season):
        count, mean = known.get(key, (0.0, value))
        if count >= 1:
            squares, degrees = scatter.get(key[0], (0.0, 0.0))
            apart = (value - mean) ** 2 * count / (count + 1)
            scatter[key[0]] = [squares * keep + apart, degrees * keep + 1]
        count = min(count + 1, float(MEMORY))
        known[key] = [count, mean + (value - mean) / count]
    return {
        "levels": known,
        "scatter": scatter,
        "windows": int(state.get("windows", 0)) + 1,
        "seen_s": float(state.get("seen_s", 0.0)) + length,
    }
