"""Lay one column of two samples over each other: bins of numbers, or shares of categories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import ColumnProfile
from mainspring.ground.words import figure
from mainspring.numerics.profiles import OTHER

Floats = npt.NDArray[np.float64]

BINS = 30
MOST_NAMES = 20
REST = "all others"
#: Beyond these quantiles of either side a bin at the edge takes in what there is: one value far
#: off would leave everything else in one bin.
_LARGEST = 1e38  # beyond single precision, in which profiles count, nothing is told apart
_TAILS = (0.005, 0.995)


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of two samples over the same bins or names; each side adds up to 1, or is empty."""

    kind: Literal["number", "category"]
    names: list[str]  #: what each bar stands for
    before: list[float]
    now: list[float]
    cuts: list[float] = []  #: numbers: the edges of the bins, one more than there are
    open_low: bool = False  #: the first bin takes in smaller values too
    open_high: bool = False
    alone: bool = False  #: there is only one sample, the first


def of_numbers(before: npt.ArrayLike | ColumnProfile, now: npt.ArrayLike) -> Distribution | None:
    """Return the bins of a number column; None if neither side has a finite value.

    ``before`` is values, or the profile that was kept of them; then the mass of each of its
    cells is spread evenly over the bins it meets.

    >>> found = of_numbers([1.0, 2.0, 2.0, 3.0], [2.0, 3.0])
    >>> found.names, found.before, found.now
    (['1', '2', '3'], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5])
    """
    new = _finite(now)
    if isinstance(before, ColumnProfile):
        known = _known_values(before)
        if known is not None:
            return _by_value(*known, new) or _binned_profile(before, new)
        return _binned_profile(before, new)
    old = _finite(before)
    if old.size + new.size == 0:
        return None
    values, counts = np.unique(old, return_counts=True)
    found = _by_value(values, counts.astype(np.float64), new) if values.size <= BINS else None
    if found is not None:
        return found
    cuts, low, high = _cuts([old, new])
    return _numbers(cuts, _shares(_counted(cuts, old)), _counted(cuts, new), low=low, high=high)


def of_categories(before: Mapping[str, int], now: Mapping[str, int]) -> Distribution | None:
    """Return the shares of the categories that matter most on either side, the rest as one.

    >>> of_categories({"a": 3, "b": 1}, {"a": 1}).now
    [1.0, 0.0]
    """
    old, new = sum(before.values()), sum(now.values())
    if old + new == 0:
        return None

    def weight(name: str) -> float:
        return before.get(name, 0) / max(old, 1) + now.get(name, 0) / max(new, 1)

    names = sorted((before.keys() | now.keys()) - {OTHER}, key=lambda name: (-weight(name), name))
    kept, rest = names[:MOST_NAMES], [*names[MOST_NAMES:], OTHER]
    first = [before.get(name, 0) for name in kept]
    second = [now.get(name, 0) for name in kept]
    left = sum(before.get(n, 0) for n in rest), sum(now.get(n, 0) for n in rest)
    if any(left):
        kept, first, second = [*kept, REST], [*first, left[0]], [*second, left[1]]
    return Distribution(
        kind="category",
        names=[name[:120] for name in kept],
        before=_shares(np.asarray(first, dtype=np.float64)),
        now=_shares(np.asarray(second, dtype=np.float64)),
    )


def _finite(values: Any) -> Floats:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return np.clip(flat[np.isfinite(flat)], -_LARGEST, _LARGEST)


def _shares(counts: Floats) -> list[float]:
    total = float(counts.sum())
    return (counts / total).tolist() if total > 0 else [0.0] * counts.size


def _known_values(profile: ColumnProfile) -> tuple[Floats, Floats] | None:
    """Return each value with its rows where the profile gave every value a cell of its own.

    Such a cell lies between an edge directly below a value and one on it.
    """
    edges, counts = np.asarray(profile.edges), np.asarray(profile.counts, dtype=np.float64)
    filled = np.flatnonzero(counts)
    if filled.size == 0 or filled.size > BINS or filled[-1] >= edges.size:
        return None
    right = edges[filled]
    left = np.where(filled > 0, edges[np.maximum(filled - 1, 0)], -np.inf)
    lone = (right - left) <= 1e-5 * np.maximum(np.abs(right), 1e-30)
    lone |= (filled == 0) & (right == profile.low)
    return (right, counts[filled]) if bool(lone.all()) else None


def _by_value(values: Floats, counts: Floats, new: Floats) -> Distribution | None:
    """Return a bar a value; None if the two sides together have too many values for that."""
    old = values.astype(np.float32).astype(np.float64)
    fresh, rows = np.unique(new.astype(np.float32).astype(np.float64), return_counts=True)
    every = np.union1d(old, fresh)
    if every.size > BINS:
        return None
    before, now = np.zeros(every.size), np.zeros(every.size)
    np.add.at(before, np.searchsorted(every, old), counts)
    now[np.searchsorted(every, fresh)] = rows
    names = [figure(value) for value in every.tolist()]
    return Distribution(kind="number", names=names, before=_shares(before), now=_shares(now))


def _cuts(
    sides: list[Floats], ends: list[float] | None = None, *, whole: bool = True
) -> tuple[Floats, bool, bool]:
    """Return the edges of equal bins, and whether values lie beyond them on either end."""
    sides = [side for side in sides if side.size]
    tails = [np.quantile(side, _TAILS) for side in sides]
    everything = [float(f(side)) for side in sides for f in (np.min, np.max)] + (ends or [])
    low = min([float(tail[0]) for tail in tails] + (ends or []))
    high = max([float(tail[1]) for tail in tails] + (ends or []))
    cuts = _even(low, high, whole=whole and all(_whole(side) for side in sides))
    return cuts, min(everything) < cuts[0], max(everything) > cuts[-1]


def _even(low: float, high: float, *, whole: bool) -> Floats:
    """Return at most :data:`BINS` even bins over a range, with edges that read well."""
    with np.errstate(over="ignore"):
        span = high - low
    if span <= 0 or not math.isfinite(span) or not low + span / BINS > low:
        # One value, or a range that numbers of this size cannot divide.
        return np.array([np.nextafter(low, -np.inf), np.nextafter(high, np.inf)])
    if whole and span >= 2:
        # As many whole numbers in every bin, or their counts would go up and down.
        width = float(math.ceil((span + 1) / BINS))
        count = math.ceil((span + 1) / width)
        return np.asarray(low - 0.5 + width * np.arange(count + 1), dtype=np.float64)
    size = 10.0 ** math.floor(math.log10(span / BINS))
    width = next(
        step * size for step in (1, 2, 2.5, 5, 10, 20) if span / (step * size) <= BINS - 1
    )
    first = math.floor(low / width)
    cuts = width * np.arange(first, math.ceil(high / width) + 1)
    if cuts.size < 3 or not (np.diff(cuts) > 0).all():
        cuts = np.linspace(low, high, 3)
    return np.asarray(cuts, dtype=np.float64)


def _whole(values: Floats) -> bool:
    return bool(np.abs(values[:1000]).max() < 1e15 and (values == np.floor(values)).all())


def _counted(cuts: Floats, values: Floats) -> Floats:
    inside = np.clip(np.searchsorted(cuts, values, side="right") - 1, 0, cuts.size - 2)
    return np.bincount(inside, minlength=cuts.size - 1).astype(np.float64)


def _binned_profile(profile: ColumnProfile, new: Floats) -> Distribution | None:
    if profile.low is None or profile.high is None:
        if new.size == 0:
            return None
        cuts, low, high = _cuts([new])
        nothing = [0.0] * (cuts.size - 1)
        return _numbers(cuts, nothing, _counted(cuts, new), low=low, high=high)
    lefts, rights, counts = _cells(profile)
    reached = np.cumsum(counts) / max(counts.sum(), 1.0)
    inner = np.searchsorted(reached, _TAILS).clip(0, counts.size - 1)
    ends = [float(lefts[inner[0]]), float(rights[inner[1]])]
    cuts, low, high = _cuts([new], ends, whole=profile.kind == "Integral")
    before = _spread(lefts, rights, counts, cuts)
    low, high = low or profile.low < cuts[0], high or profile.high > cuts[-1]
    return _numbers(cuts, _shares(before), _counted(cuts, new), low=low, high=high)


def _cells(profile: ColumnProfile) -> tuple[Floats, Floats, Floats]:
    """Return left end, right end and rows of each cell that holds any."""
    low, high = np.clip([profile.low or 0.0, profile.high or 0.0], -_LARGEST, _LARGEST).tolist()
    edges = np.clip(np.asarray(profile.edges, dtype=np.float64), low, high)
    counts = np.asarray(profile.counts, dtype=np.float64)
    filled = counts > 0
    return (
        np.concatenate(([low], edges))[filled],
        np.concatenate((edges, [high]))[filled],
        counts[filled],
    )


def _spread(lefts: Floats, rights: Floats, counts: Floats, cuts: Floats) -> Floats:
    """Return the rows of each bin, if every cell holds its rows evenly."""
    bins = cuts.size - 1
    width = rights - lefts
    point = width <= 0
    found = np.zeros(bins)
    np.add.at(
        found,
        np.clip(np.searchsorted(cuts, rights[point], side="right") - 1, 0, bins - 1),
        counts[point],
    )
    for left, right, rows in zip(lefts[~point], rights[~point], counts[~point], strict=True):
        outer = cuts.copy()
        outer[0], outer[-1] = min(outer[0], left), max(outer[-1], right)
        meets = np.clip(np.minimum(outer[1:], right) - np.maximum(outer[:-1], left), 0, None)
        found += rows * meets / (right - left)
    return found


def _numbers(
    cuts: Floats, before: list[float], now: Floats, *, low: bool, high: bool
) -> Distribution:
    ends = cuts.tolist()
    names = [f"{figure(a)} to {figure(b)}" for a, b in pairwise(ends)]
    if low:
        names[0] = f"up to {figure(ends[1])}"
    if high:
        names[-1] = f"{figure(ends[-2])} and more"
    return Distribution(
        kind="number",
        names=names,
        before=before,
        now=_shares(now),
        cuts=ends,
        open_low=bool(low),
        open_high=bool(high),
    )
