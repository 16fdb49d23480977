"""Split rows into an advantaged and a disadvantaged facet, and count what each got."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Facet, Signature

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Values of a facet that are compared with the rest, the most frequent ones.
MOST_VALUES = 10
#: Rows of each facet that the flip test looks at.
FLIP_ROWS = 1_000
_MOST_LEVELS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One comparison: its name, and for every row whether it is of d, or of neither."""

    subject: str
    of_d: Bools
    known: Bools


def texts(column: pl.Series) -> pl.Series:
    """Return values as texts: ``true``, ``3`` (for 3 and for 3.0), ``0.5``, text as it is.

    >>> texts(pl.Series([1.0, 2.5, None])).to_list()
    ['1', '2.5', None]
    """
    if column.dtype == pl.String:
        return column
    names = {value: _text(value) for value in column.drop_nulls().unique().to_list()}
    known = {value: text for value, text in names.items() if text is not None}
    if not known:
        return pl.Series(column.name, [None] * column.len(), dtype=pl.String)
    return column.replace_strict(known, default=None, return_dtype=pl.String)


def counts(column: pl.Series) -> dict[str, int]:
    """Return how many rows each value has, by its text."""
    counted = texts(column).drop_nulls().value_counts()
    return {str(value): int(rows) for value, rows in counted.rows()}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _as_column(text: str, column: pl.Series) -> str:
    """Return a declared value as :func:`texts` would name it in this column."""
    if column.dtype.is_numeric():
        try:
            return _text(float(text)) or text
        except ValueError:
            return text
    return text


def splits(frame: pl.DataFrame, facet: Facet, values: list[str]) -> Iterator[Split]:
    """Give each comparison a facet asks for; ``values`` are those to compare, if it names none."""
    column = frame[facet.column]
    if facet.below is not None or facet.above is not None:
        numbers = column.cast(pl.String).cast(pl.Float64, strict=False).fill_nan(None)
        known = numbers.is_not_null().to_numpy()
        found = numbers.fill_null(0.0).to_numpy()
        if facet.below is not None:
            yield Split(f"{facet.column} < {facet.below:g}", found < facet.below, known)
        else:
            yield Split(f"{facet.column} > {facet.above:g}", found > facet.above, known)
        return
    named = texts(column)
    known = named.is_not_null().to_numpy()
    groups = [facet.disadvantaged] if facet.disadvantaged else [[one] for one in values]
    for group in groups:
        wanted = [_as_column(one, column) for one in group]
        of_d = named.is_in(wanted).fill_null(value=False).to_numpy()
        yield Split(f"{facet.column} = {' or '.join(group)}", of_d, known)


def values_of(counts: dict[str, int]) -> list[str]:
    """Return the values each of which is compared with the rest, given their rows.

    Of two only the rarer: the other comparison would be the same one mirrored.

    >>> values_of({"f": 300, "m": 700}), values_of({"a": 5, "b": 9, "c": 7})
    (['f'], ['b', 'c', 'a'])
    """
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    return ordered[1:] if len(ordered) == 2 else ordered[:MOST_VALUES]


def positive_place(facet: Facet, signature: Signature) -> int:
    """Return the place of the class that is good to get; -1 if it is none of the model's."""
    if facet.positive is None:
        return len(signature.classes) - 1 if signature.kind == "binary" else -1
    return signature.classes.index(facet.positive) if facet.positive in signature.classes else -1


def said_good(scores: Floats, facet: Facet, signature: Signature) -> Bools:
    """Return for rows of scores, shape (rows, k), whether the model said what is good to get."""
    if signature.kind == "regression":
        return np.asarray(scores[:, 0] > _line(facet), dtype=np.bool_)
    place = positive_place(facet, signature)
    chosen = (scores[:, 0] >= 0.5).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.asarray(chosen == place, dtype=np.bool_)


def truly_good(truth: Floats, facet: Facet, signature: Signature) -> Bools:
    """Return for targets, as in ``_y``, whether each is what is good to get."""
    if signature.kind == "regression":
        return np.asarray(truth > _line(facet), dtype=np.bool_)
    return np.asarray(truth == positive_place(facet, signature), dtype=np.bool_)


def _line(facet: Facet) -> float:
    return np.inf if facet.positive_above is None else facet.positive_above


def comparable(frame: pl.DataFrame, facet: Facet, signature: Signature) -> Floats:
    """Return the model's inputs as numbers on one scale, shape (rows, features), for neighbours.

    Numbers are divided by their spread, missing ones stand at the mean; each of the most
    frequent texts is a column of 0 and 1. The facet itself is left out.
    """
    parts: list[Floats] = []
    for column in signature.columns:
        if column.name == facet.column or column.name not in frame.columns:
            continue
        values = frame[column.name]
        if column.type in ("float", "int"):
            numbers = values.cast(pl.String).cast(pl.Float64, strict=False).fill_nan(None)
            mean = numbers.mean()
            filled = numbers.fill_null(mean if isinstance(mean, float) else 0.0)
            found = filled.to_numpy().astype(np.float64)
            found = np.nan_to_num(found, posinf=0.0, neginf=0.0)
            spread = float(found.std())
            parts.append((found - found.mean()) / (spread if spread > 0 else 1.0))
        else:
            named = texts(values)
            counted = named.drop_nulls().value_counts(sort=True).head(_MOST_LEVELS)
            levels = sorted(counted.to_series(0).to_list())
            # Half a root of two, so that two rows of different texts are one apart.
            parts += [
                (named == one).fill_null(value=False).to_numpy() * np.sqrt(0.5) for one in levels
            ]
    return np.stack(parts, axis=1) if parts else np.zeros((frame.height, 1))
