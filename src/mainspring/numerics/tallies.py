"""Count a column while its rows come in: everything a profile says, in bounded memory.

A tally takes values kind by kind, in any order and any portions; tallies of parts merge to
that of the whole, within the errors its profile states. :func:`finish` gives the profile,
:func:`resume` the tally that a profile was made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mainspring.ground.profiles import (
    ColumnProfile,
    ColumnState,
    NumberState,
    TextState,
    ValueKind,
)
from mainspring.numerics import distinct as distincts
from mainspring.numerics import frequent, sketches
from mainspring.numerics.distinct import DistinctSketch, Hashes
from mainspring.numerics.errors import BinsDifferError
from mainspring.numerics.frequent import Frequent
from mainspring.numerics.histograms import Counts, Floats, weighted_edges
from mainspring.numerics.profiles import MAX_CATEGORIES, OTHER, single
from mainspring.numerics.sketches import QuantileSketch

#: A column is of a kind if at least this share of its values is; else it is text.
MOST_OF_THEM = 0.9
#: The quantiles that a profile shows.
SHOWN = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

_NUMBERS = ("Integral", "Fractional")
_LARGEST_SHOWN_WHOLE = 1e15


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Moments, ends and distribution of numbers. Infinities are in the distribution alone."""

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float | None = None
    high: float | None = None
    sketch: QuantileSketch = field(default_factory=QuantileSketch)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is known of one column so far."""

    rows: int = 0
    missing: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers)
    times: Numbers = field(default_factory=Numbers)
    texts: Frequent = field(default_factory=Frequent)
    distinct: DistinctSketch = distincts.EMPTY


def with_missing(tally: Tally, rows: int) -> Tally:
    """Return the tally with rows that have no value.

    >>> with_missing(Tally(), 3).missing
    3
    """
    return replace(tally, rows=tally.rows + rows, missing=tally.missing + rows)


def with_numbers(tally: Tally, values: npt.ArrayLike, kind: ValueKind) -> Tally:
    """Return the tally with numbers of one kind; NaN are missing. Times are UTC seconds.

    ``values`` that are whole numbers by type are told apart beyond 2**53 as well.
    """
    array = np.asarray(values).ravel()
    floats = array.astype(np.float64)
    if array.dtype.kind not in "iub":
        here = ~np.isnan(floats)
        if not here.all():
            tally = with_missing(tally, int(floats.size - here.sum()))
            array = floats = floats[here]
    if floats.size == 0:
        return tally
    seen = tally.distinct
    for start in range(0, array.size, sketches.BLOCK):
        part = array[start : start + sketches.BLOCK]
        seen = distincts.add(seen, distincts.hash_numbers(part))
    tally = _counted(tally, kind, floats.size, seen)
    if kind == "Time":
        return replace(tally, times=_more(tally.times, floats))
    return replace(tally, numbers=_more(tally.numbers, floats))


def with_texts(
    tally: Tally,
    counts: Frequent,
    hashes: Hashes,
    repeats: Counts,
    kind: ValueKind = "String",
) -> Tally:
    """Return the tally with texts or booleans: how often each came, and the hash of each."""
    tally = _counted(tally, kind, counts.rows, distincts.add(tally.distinct, hashes, repeats))
    return replace(tally, texts=frequent.merge([tally.texts, counts]))


def merge(one: Tally, two: Tally) -> Tally:
    """Return the tally of both parts together."""
    names = [*one.kinds, *(name for name in two.kinds if name not in one.kinds)]
    return Tally(
        rows=one.rows + two.rows,
        missing=one.missing + two.missing,
        kinds={name: one.kinds.get(name, 0) + two.kinds.get(name, 0) for name in names},
        numbers=_pooled(one.numbers, two.numbers),
        times=_pooled(one.times, two.times),
        texts=frequent.merge([one.texts, two.texts]),
        distinct=distincts.merge(one.distinct, two.distinct),
    )


def kind_of(tally: Tally) -> ValueKind:
    """Return the kind that most of the values are of (see :data:`MOST_OF_THEM`)."""
    present = tally.rows - tally.missing
    if present == 0:
        return "Unknown"
    needed = MOST_OF_THEM * present
    if sum(tally.kinds.get(name, 0) for name in _NUMBERS) >= needed:
        return "Fractional" if tally.kinds.get("Fractional") else "Integral"
    if tally.kinds.get("Time", 0) >= needed:
        return "Time"
    return "Boolean" if tally.kinds.get("Boolean", 0) >= needed else "String"


def finish(name: str, tally: Tally, share: float = 0.0) -> ColumnProfile:
    """Return the profile of a column.

    Example:
        >>> found = finish("x", with_numbers(Tally(), [1.0, 2.0, 4.0], "Fractional"))
        >>> found.kind, found.mean is not None, found.distinct, found.quantiles["0.5"]
        ('Fractional', True, 3.0, 2.0)
    """
    kind = kind_of(tally)
    described: dict[str, object] = {}
    wrong = 0
    if kind in (*_NUMBERS, "Time"):
        numbers = tally.times if kind == "Time" else tally.numbers
        described = describe_numbers(numbers)
        wrong = tally.rows - tally.missing - numbers.sketch.rows
    elif kind != "Unknown":
        described = _of_texts(tally, kind)
        wrong = tally.rows - tally.missing - tally.kinds[kind] if kind == "Boolean" else 0
    repeated, high = distincts.repeated(tally.distinct)
    return ColumnProfile(
        name=name,
        type="number" if kind in (*_NUMBERS, "Time") else "category",
        rows=tally.rows,
        missing=tally.missing,
        share=share,
        kind=kind,
        kinds=dict(sorted(tally.kinds.items())),
        wrong=wrong,
        distinct=distincts.count(tally.distinct),
        distinct_error=distincts.relative_error(tally.distinct),
        repeated=repeated,
        repeated_high=high,
        state=_state(tally),
        **described,  # type: ignore[arg-type]  # fields of the record, by name
    )


def resume(profile: ColumnProfile) -> Tally:
    """Return the tally that a profile was made of.

    Raises:
        BinsDifferError: if the profile keeps no state, as those of format 1.
    """
    state = profile.state
    if state is None:
        raise BinsDifferError(f"The profile of {profile.name!r} keeps nothing to go on from.")
    return Tally(
        rows=profile.rows,
        missing=profile.missing,
        kinds=profile.kinds,
        numbers=_numbers_of(state.numbers),
        times=_numbers_of(state.times),
        texts=_texts_of(state.texts),
        distinct=distincts.unpack(state.distinct),
    )


def _counted(tally: Tally, kind: str, rows: int, seen: DistinctSketch) -> Tally:
    kinds = {**tally.kinds, kind: tally.kinds.get(kind, 0) + rows}
    return replace(tally, rows=tally.rows + rows, kinds=kinds, distinct=seen)


def _more(known: Numbers, values: Floats) -> Numbers:
    finite = values if np.isfinite(values).all() else values[np.isfinite(values)]
    new = Numbers(sketch=sketches.add(QuantileSketch(), values))
    if finite.size:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(finite.mean())
            apart = finite - mean
            # Not by BLAS, whose threads cost more here than they give.
            squares = float(np.square(apart, out=apart).sum())
        new = Numbers(
            finite.size, mean, squares, float(finite.min()), float(finite.max()), new.sketch
        )
    return _pooled(known, new)


def _pooled(one: Numbers, two: Numbers) -> Numbers:
    sketch = sketches.merge([one.sketch, two.sketch])
    if not one.rows or not two.rows:
        return replace(one if one.rows else two, sketch=sketch)
    rows = one.rows + two.rows
    apart = two.mean - one.mean
    lows = [end for end in (one.low, two.low) if end is not None]
    highs = [end for end in (one.high, two.high) if end is not None]
    return Numbers(
        rows=rows,
        mean=(one.mean * one.rows + two.mean * two.rows) / rows,
        squares=one.squares + two.squares + apart * apart * one.rows * two.rows / rows,
        low=min(lows),
        high=max(highs),
        sketch=sketch,
    )


def describe_numbers(numbers: Numbers) -> dict[str, object]:
    """Return what a profile says of numbers, by the fields of its record."""
    kept = sketches.compact(numbers.sketch)
    found: dict[str, object] = {"rank_error": kept.error}
    shown = sketches.quantiles(kept, SHOWN)
    found["quantiles"] = {
        f"{at:g}": value
        for at, value in zip(SHOWN, shown.tolist(), strict=True)
        if math.isfinite(value)
    }
    if not numbers.rows:
        return found
    # Single precision, as whoever compares rows with these counts rounds them.
    values, weights = sketches.pairs(kept)
    rounded = QuantileSketch((sketches.Run(single(values), weights, kept.rows, 0.0, 0),))
    values, weights = sketches.pairs(rounded)
    finite = np.isfinite(values)
    edges = weighted_edges(values[finite], weights[finite]) if finite.any() else np.zeros(1)
    deviation = math.sqrt(numbers.squares / numbers.rows)
    return found | {
        "edges": edges.tolist(),
        "counts": sketches.cells(rounded, edges).tolist(),
        "low": numbers.low,
        "high": numbers.high,
        "mean": numbers.mean if math.isfinite(numbers.mean) else None,
        "std": deviation if math.isfinite(deviation) else None,
    }


def _of_texts(tally: Tally, kind: str) -> dict[str, object]:
    texts, unknown = tally.texts, 0
    if kind == "String":
        for numbers in (tally.numbers, tally.times):
            known = _as_texts(numbers.sketch)
            texts = frequent.merge([texts, known]) if known else texts
            unknown = max(unknown, 0 if known else numbers.sketch.rows)
    kept, rest = frequent.top(texts, MAX_CATEGORIES)
    rows = tally.rows - tally.missing if kind == "String" else tally.kinds[kind]
    if kind == "Boolean":
        kept = {name: count for name, count in kept.items() if name in ("true", "false")}
        rest = 0
    left = rows - sum(kept.values())
    return {
        "categories": {**kept, OTHER: left} if left else kept,
        "categories_error": texts.error,
        "categories_rest": max(rest, unknown),
    }


def _as_texts(sketch: QuantileSketch) -> Frequent | None:
    """Return the numbers of a sketch by their text; None where it does not know them all."""
    if sketch.error > 0:
        return None
    values, weights = sketches.pairs(sketch)
    counts = {
        _text(value): round(weight)
        for value, weight in zip(values.tolist(), weights.tolist(), strict=True)
    }
    return Frequent(counts, sketch.rows)


def _text(value: float) -> str:
    whole = value.is_integer() and abs(value) < _LARGEST_SHOWN_WHOLE
    return str(int(value)) if whole else repr(value)


def _state(tally: Tally) -> ColumnState:
    counts, rest = frequent.top(tally.texts, MAX_CATEGORIES)
    texts = TextState(counts=counts, rows=tally.texts.rows, error=tally.texts.error, rest=rest)
    return ColumnState(
        numbers=_number_state(tally.numbers),
        times=_number_state(tally.times),
        texts=texts if tally.texts.rows else None,
        distinct=distincts.pack(tally.distinct),
    )


def _number_state(numbers: Numbers) -> NumberState | None:
    if not numbers.sketch.runs:
        return None
    # JSON has no infinities; moments that overflowed say nothing.
    sound = math.isfinite(numbers.mean) and math.isfinite(numbers.squares)
    return NumberState(
        rows=numbers.rows,
        mean=numbers.mean if sound else 0.0,
        squares=numbers.squares if sound else 0.0,
        low=numbers.low,
        high=numbers.high,
        sketch=sketches.pack(numbers.sketch),
    )


def _numbers_of(state: NumberState | None) -> Numbers:
    if state is None:
        return Numbers()
    return Numbers(
        state.rows,
        state.mean,
        state.squares,
        state.low,
        state.high,
        sketches.unpack(state.sketch),
    )


def _texts_of(state: TextState | None) -> Frequent:
    if state is None:
        return Frequent()
    # What was left out had up to `rest` rows: as if that had been taken from every count.
    taken = max(state.rest - state.error, 0)
    counts = {value: count - taken for value, count in state.counts.items() if count > taken}
    return Frequent(counts, state.rows, state.error + taken)
