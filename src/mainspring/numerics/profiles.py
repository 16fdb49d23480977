"""Describe columns by mergeable statistics, so that later rows can be compared with them.

A number column keeps its histogram over quantile edges, a category column the rows of each
value. Text and booleans are categories (``true`` and ``false``), everything that counts is a
number. ``None`` and NaN are missing; the empty text is not. Numbers are counted at single
precision, so that a value lands in the same cell whether it was kept in 32 or in 64 bits.

Profiles do not depend on the order of rows, nor on the machine. Polars series are read through
their own methods; polars itself is not imported.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import ColumnProfile
from mainspring.numerics.errors import BinsDifferError, OutOfRangeError, ShapesDifferError
from mainspring.numerics.histograms import Counts, Floats, count_values, reference_edges

#: The category that holds every value beyond the most frequent ``max_categories``.
OTHER = "(other values)"
MAX_CATEGORIES = 1000

# The top probability falls into one of these bands; with the class it makes one category.
_BANDS = (0.5, 0.7, 0.9)

_GRID = 16_384  # even cells on which values are counted first
_BLOCK = 8_192
_NUMBERS = (Real, Decimal, np.number, np.bool_)

Values = npt.NDArray[Any] | Sequence[Any] | Any  # Any: a polars series


def profile_columns(
    columns: Mapping[str, Values],
    shares: Mapping[str, float] = MappingProxyType({}),
    max_categories: int = MAX_CATEGORIES,
) -> list[ColumnProfile]:
    """Return the profile of every column, in the order given.

    ``columns`` are numpy arrays (object arrays too), lists or polars series of equal length;
    ``shares`` says what part of the model's response a column carries, 0 where it is not named.
    A category column keeps its ``max_categories`` most frequent values and counts the rest
    under :data:`OTHER`. Low, high, mean and std are those of the finite values, None if there
    are none.

    Raises:
        ShapesDifferError: if the columns do not have the same number of rows.

    Example:
        >>> number, text = profile_columns({"x": [1.0, None, 3.0], "city": ["Ulm", "Ulm", None]})
        >>> number.type, number.missing, number.mean
        ('number', 1, 2.0)
        >>> text.type, text.missing, text.categories
        ('category', 1, {'Ulm': 2})
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ShapesDifferError(f"Columns must have equal rows, found {sorted(lengths)}.")
    return [
        _profile(name, values, float(shares.get(name, 0.0)), max_categories)
        for name, values in columns.items()
    ]


def profile_scores(scores: npt.ArrayLike) -> ColumnProfile:
    """Return the profile of a model's own output, named ``score``.

    ``scores`` has shape (rows,), (rows, 1) or (rows, classes). One score a row is a number
    column. With several, each row becomes the category "likeliest class at the band of its
    probability", so that both a shift of the classes and one of the confidence are seen. Rows
    with a score that is not finite are missing.

    Raises:
        ShapesDifferError: if the scores have no or more than two dimensions.

    Example:
        >>> profile_scores([[0.2, 0.8], [0.6, 0.4]]).categories
        {'class 0 at 0.5-0.7': 1, 'class 1 at 0.7-0.9': 1}
    """
    return _profile("score", score_column(scores), 1.0, MAX_CATEGORIES)


def score_column(scores: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return scores as the one column that :func:`profile_scores` describes, shape (rows,).

    Raises:
        ShapesDifferError: if the scores have no or more than two dimensions.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim not in (1, 2):
        raise ShapesDifferError(f"Scores are (rows,) or (rows, k), found {matrix.shape}.")
    if matrix.ndim == 1 or matrix.shape[1] == 1:
        flat = matrix.reshape(matrix.shape[0])
        return np.where(np.isfinite(flat), flat, np.nan)
    ends = ["0", *map(str, _BANDS), "1"]
    words = np.array(
        [
            f"class {label} at {low}-{high}"
            for label in range(matrix.shape[1])
            for low, high in pairwise(ends)
        ],
        dtype=object,
    )
    sound = np.asarray(np.isfinite(matrix).all(axis=1))
    safe = np.where(sound[:, None], matrix, 0.0)
    bands = np.searchsorted(np.asarray(_BANDS), safe.max(axis=1), side="right")
    named = words[safe.argmax(axis=1) * (len(_BANDS) + 1) + bands]
    return np.asarray(np.where(sound, named, None), dtype=object)


def merge(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    """Return the profile of both samples together, whichever comes first.

    Number columns must have been counted over the same edges; a side without any value joins
    anything. The share is the mean of the two, weighted by rows.

    Raises:
        BinsDifferError: if the two are different columns, or counted over different edges.

    Example:
        >>> one, two = profile_columns({"a": ["x", "y"]})[0], profile_columns({"a": ["x"]})[0]
        >>> merge(one, two).categories
        {'x': 2, 'y': 1}
    """
    if a.name != b.name:
        raise BinsDifferError(f"Only one column can be merged, found {a.name!r} and {b.name!r}.")
    rows, missing = a.rows + b.rows, a.missing + b.missing
    share = (a.share * a.rows + b.share * b.rows) / rows if rows else max(a.share, b.share)
    for full, empty in ((a, b), (b, a)):
        if empty.rows == empty.missing and full.rows > full.missing:
            return _changed(full, rows=rows, missing=missing, share=share)
    if a.type != b.type or a.edges != b.edges:
        raise BinsDifferError(f"The two profiles of {a.name!r} were not counted alike.")
    mean, std = _pooled(a, b)
    kept = _most_frequent(Counter(a.categories) + Counter(b.categories), MAX_CATEGORIES)
    return ColumnProfile(
        name=a.name,
        type=a.type,
        rows=rows,
        missing=missing,
        share=share,
        edges=a.edges,
        counts=[x + y for x, y in zip(a.counts, b.counts, strict=True)],
        categories=kept,
        low=min((x.low for x in (a, b) if x.low is not None), default=None),
        high=max((x.high for x in (a, b) if x.high is not None), default=None),
        mean=mean,
        std=std,
    )


def count_numbers(edges: Sequence[float], values: npt.ArrayLike) -> tuple[Counts, int]:
    """Return the rows per cell of a profile's edges, shape (edges + 1,), and the missing ones.

    The only right way to compare rows with a number profile: it rounds as the profile did.

    Example:
        >>> counts, missing = count_numbers([0.0, 1.0], [0.5, float("nan"), 7.0])
        >>> counts.tolist(), missing
        ([0, 1, 1], 1)
    """
    found = present_single(values)
    return count_single(edges, found), int(np.size(values)) - found.size


def count_single(edges: Sequence[float], values: npt.NDArray[np.float32]) -> Counts:
    """Return the rows per cell of values that :func:`present_single` gives, in any order.

    A million values take 7 ms, where sorting them takes 32: they are counted on a fine even grid,
    and only those of the few grid cells that hold an edge are searched among the edges.

    >>> count_single([0.0, 1.0], present_single([0.5, float("nan"), 7.0])).tolist()
    [0, 1, 1]
    """
    at = np.asarray(edges, dtype=np.float64)
    if values.size < _GRID or at.size < 2:
        return _searched(at, values)
    with np.errstate(over="ignore"):
        low, scale = np.float32(at[0]), np.float32(_GRID / (at[-1] - at[0]))
        if not (np.isfinite(low) and np.isfinite(scale) and scale > 0):
            return _searched(at, values)
        # The same operations for values and edges, and each of them keeps the order: what lies
        # in a cell before an edge's is not above the edge, whatever was rounded.
        cell_of = np.clip((values - low) * scale, 0, _GRID - 1).astype(np.int32)
        edge_cell = np.clip((at.astype(np.float32) - low) * scale, 0, _GRID - 1).astype(np.int32)
    holds = np.zeros(_GRID, dtype=bool)
    holds[edge_cell] = True
    near = values[holds[cell_of]]
    if near.size > values.size // 4:  # nearly all lie in a few cells: the grid is of no use
        return _searched(at, values)
    grid = np.bincount(cell_of, minlength=_GRID)
    grid[holds] = 0
    whole = np.bincount(np.searchsorted(edge_cell, np.flatnonzero(grid)),
                        weights=grid[grid > 0], minlength=at.size + 1)  # fmt: skip
    return whole.astype(np.int64) + _searched(at, near)


def present_single(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the present values at single precision, in their order; NaN are left out."""
    with np.errstate(over="ignore"):
        found = np.asarray(values, dtype=np.float64).ravel().astype(np.float32)
    missing = np.isnan(found)
    return found[~missing] if missing.any() else found


def _searched(at: Floats, values: npt.NDArray[np.float32]) -> Counts:
    # Blocks that fit the cache sort twice as fast as the whole.
    below = np.zeros(at.size, dtype=np.int64)
    for start in range(0, values.size, _BLOCK):
        ordered = np.sort(values[start : start + _BLOCK]).astype(np.float64)
        below += np.searchsorted(ordered, at, side="right")
    return np.diff(below, prepend=0, append=values.size).astype(np.int64)


def single(values: npt.ArrayLike) -> Floats:
    """Return numbers rounded to single precision, as float64.

    Rounding keeps the order, so distances between distributions can only lose, never gain.
    """
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float64).astype(np.float32).astype(np.float64)


def count_categories(values: Values) -> tuple[Counter[str], int]:
    """Return how often each value occurs, named as profiles name it, and the missing rows.

    Example:
        >>> count_categories([True, None, True])
        (Counter({'true': 2}), 1)
    """
    # A polars series counts its own values far faster than Python could.
    if hasattr(values, "value_counts") and hasattr(values, "drop_nulls"):
        rows = values.drop_nulls().value_counts().rows()
        pairs = [(value, count) for value, count in rows if not _is_missing(value)]
        found: Counter[str] = Counter()
        for value, count in pairs:
            found[_category(value)] += count
        return found, len(values) - found.total()
    array = values if isinstance(values, np.ndarray) else as_array(values)
    raw = Counter(array.tolist())
    found = Counter()
    for value, count in raw.items():
        if not _is_missing(value):
            found[_category(value)] += count
    return found, array.size - found.total()


def as_array(values: Values) -> npt.NDArray[Any]:
    """Return a column as a numpy array: float64 with NaN if it holds numbers, else as it is.

    A column of objects counts as numbers if everything present is a number and not all of it
    is boolean.
    """
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray):
        values = values.to_numpy()
    if not isinstance(values, np.ndarray):
        filled = np.empty(len(values), dtype=object)
        filled[:] = list(values)
        values = filled
    if values.ndim != 1:
        raise ShapesDifferError(f"A column has one dimension, found shape {values.shape}.")
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    if values.dtype.kind != "O":
        return values
    plain = values.tolist()
    present = [value for value in plain if not _is_missing(value)]
    types = set(map(type, present or [v for v in plain if v is not None]))
    if not types or not all(issubclass(kind, _NUMBERS) for kind in types):
        return values
    if all(issubclass(kind, (bool, np.bool_)) for kind in types):
        return values
    return np.array([math.nan if v is None else float(v) for v in plain], dtype=np.float64)


def _profile(name: str, values: Values, share: float, most: int) -> ColumnProfile:
    array = values if _counts_itself(values) else as_array(values)
    if isinstance(array, np.ndarray) and array.dtype.kind == "f":
        return _numbers(name, array, share)
    found, missing = count_categories(array)
    return ColumnProfile(
        name=name,
        type="category",
        rows=len(values),
        missing=missing,
        share=share,
        categories=_most_frequent(found, most),
    )


def _counts_itself(values: Values) -> bool:
    """Return whether this is a series of text or booleans that counts its own values."""
    kind = str(getattr(values, "dtype", ""))
    return hasattr(values, "drop_nulls") and kind.startswith(
        ("String", "Boolean", "Categorical", "Enum")
    )


def _numbers(name: str, values: Floats, share: float) -> ColumnProfile:
    # Sorted first, so that sums do not depend on the order of rows.
    ordered = np.sort(values)
    finite = ordered[np.isfinite(ordered)]
    if finite.size == 0:
        missing = int(np.isnan(ordered).sum())
        return ColumnProfile(
            name=name, type="number", rows=values.size, missing=missing, share=share
        )
    rounded = single(ordered)
    edges = reference_edges(rounded) if np.isfinite(rounded).any() else np.zeros(1)
    counted = count_values(edges, rounded)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(finite.mean()), float(finite.std())
    return ColumnProfile(
        name=name,
        type="number",
        rows=values.size,
        missing=counted.missing,
        share=share,
        edges=edges.tolist(),
        counts=counted.counts.tolist(),
        low=float(finite[0]),
        high=float(finite[-1]),
        mean=mean if math.isfinite(mean) else None,
        std=std if math.isfinite(std) else None,
    )


def _is_missing(value: Any) -> bool:
    # Only NaN and NaT differ from themselves.
    return value is None or bool(value != value)


def _category(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return str(value)


def _most_frequent(found: Counter[str], most: int) -> dict[str, int]:
    """Return the most frequent categories by name, and what is left under :data:`OTHER`."""
    if most < 1:
        raise OutOfRangeError(f"At least one category must be kept, asked for {most}.")
    left = found.pop(OTHER, 0)
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    left += sum(count for _, count in ranked[most:])
    kept = dict(sorted(ranked[:most]))
    return {**kept, OTHER: left} if left else kept


def _pooled(a: ColumnProfile, b: ColumnProfile) -> tuple[float | None, float | None]:
    if a.mean is None or b.mean is None or a.std is None or b.std is None:
        return None, None
    n, m = a.rows - a.missing, b.rows - b.missing
    mean = (n * a.mean + m * b.mean) / (n + m)
    apart = n * m / (n + m) * (a.mean - b.mean) ** 2
    return mean, math.sqrt((n * a.std**2 + m * b.std**2 + apart) / (n + m))


def _changed(profile: ColumnProfile, *, rows: int, missing: int, share: float) -> ColumnProfile:
    return ColumnProfile(
        name=profile.name,
        type=profile.type,
        rows=rows,
        missing=missing,
        share=share,
        edges=profile.edges,
        counts=profile.counts,
        categories=profile.categories,
        low=profile.low,
        high=profile.high,
        mean=profile.mean,
        std=profile.std,
    )
