"""Cut rows into slices: the values of a column, its ranges, or a condition written in SQL.

A slice has a name that is the subject of its finding: ``carrier=EV``, ``distance 201..733``,
or the condition as it was written. Numbers are cut at the quarters of the rows kept at
training, so that a slice holds the same values in every window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, ColumnProfile, Profile

Codes = npt.NDArray[np.int64]

#: Values of a column that are slices of their own; rows of others are in none.
MOST_VALUES = 50
#: Equal parts a column of numbers is cut into.
PARTS = 4
_NUMBERS = ("float", "int")
_DTYPES: dict[str, type[pl.DataType]] = {
    "float": pl.Float64,
    "int": pl.Int64,
    "str": pl.String,
    "bool": pl.Boolean,
}
#: Rows on which a condition must say the same of each, alone and among the others.
_TRIED: dict[type[pl.DataType], list[object]] = {
    pl.Float64: [-1e6, 0.0, 3.0, 1e6],
    pl.Int64: [-1_000_000, 0, 3, 1_000_000],
    pl.String: ["a", "b", "c", "d"],
    pl.Boolean: [False, True, True, False],
}


@dataclass(frozen=True, slots=True)
class Cut:
    """A column cut into slices: names, and for rows of a frame which one each is in, or -1."""

    column: str
    names: tuple[str, ...]
    edges: tuple[float, ...] = ()  # numbers: inner edges, ascending
    values: tuple[str, ...] = ()  # categories, as text

    def codes(self, frame: pl.DataFrame) -> Codes:
        """Return the slice of every row, shape (rows,); -1 where it is in none."""
        none = np.full(frame.height, -1, dtype=np.int64)
        if self.column not in frame.columns:
            return none
        column = frame[self.column]
        if self.values:
            known = {value: place for place, value in enumerate(self.values)}
            text = _text(column)
            found = text.replace_strict(
                list(known), list(known.values()), default=-1, return_dtype=pl.Int64
            )
            return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
        numbers = column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        there = np.isfinite(numbers)
        none[there] = np.searchsorted(np.array(self.edges), numbers[there], side="left")
        return none


def cut_column(name: str, baseline: Profile, reference: pl.DataFrame | None) -> Cut | None:
    """Return how a column is cut; None if it held one value only, or is not known.

    Categories: those with most rows in the reference (or the baseline), at most
    :data:`MOST_VALUES`. Numbers: quarters of the reference, or of the baseline's bins.
    """
    if reference is not None and name in reference.columns:
        column = reference[name]
        if column.dtype.is_numeric():
            values = column.cast(pl.Float64).drop_nulls().drop_nans()
            if values.len() == 0:
                return None
            found = [values.quantile(part / PARTS, "lower") for part in range(1, PARTS)]
            top = float(values.max())  # type: ignore[arg-type]
            return _by_edges(name, [edge for edge in found if edge is not None and edge < top])
        # A column may be called "count", as the counts are.
        counted = _text(column).alias("value").drop_nulls().value_counts(name="rows")
        most = counted.sort(["rows", "value"], descending=[True, False])
        return _by_values(name, most["value"].head(MOST_VALUES).to_list())
    profile = next((one for one in baseline.columns if one.name == name), None)
    return None if profile is None else _of_profile(profile)


def condition(text: str, frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Return for which rows of a frame a condition holds; where it is unknown it does not.

    Raises:
        BadInputError: if it cannot be read on these columns.
    """
    try:
        found = frame.select(pl.sql_expr(text).alias("_in"))["_in"]
    except PolarsError as error:
        raise BadInputError(
            f"Slice {text!r} cannot be read: {_first_line(error)}.", field="slices"
        ) from error
    if found.dtype != pl.Boolean or found.len() != frame.height:
        raise BadInputError(
            f"Slice {text!r} gives {found.dtype}; a slice is true or false for each row.",
            field="slices",
        )
    return found.fill_null(value=False).to_numpy().astype(bool)


def check_slices(slices: Sequence[str], columns: Sequence[Column]) -> None:
    """Make sure that declared slices are columns, or conditions on one row's columns.

    Raises:
        BadInputError: naming the slice that is neither: it reads a column that is not there,
            looks at other rows (``miles > avg(miles)``), or is not true or false.

    Example:
        >>> columns = [Column(name="carrier", type="str"), Column(name="miles", type="float")]
        >>> check_slices(["carrier", "miles > 1000"], columns)
    """
    names = {column.name for column in columns}
    schema = {column.name: _DTYPES[column.type] for column in columns}
    for text in slices:
        if text in names:
            continue
        try:
            expression = pl.sql_expr(text)
            roots = set(expression.meta.root_names())
        except PolarsError as error:
            raise BadInputError(
                f"Slice {text!r} is neither a column nor a condition: {_first_line(error)}.",
                field="slices",
                hint=f"The columns are {', '.join(sorted(names))}.",
            ) from error
        if not roots or not roots <= names:
            strange = next(iter(sorted(roots - names)), None)
            told = f"reads {strange!r}, which is no column" if strange else "reads no column"
            raise BadInputError(
                f"Slice {text!r} {told}.",
                field="slices",
                hint=f"The columns are {', '.join(sorted(names))}.",
            )
        tried = {name: _TRIED[schema[name]] for name in sorted(roots)}
        frame = pl.DataFrame(tried, schema={name: schema[name] for name in tried})
        together = condition(text, frame)
        alone = [bool(condition(text, frame[row : row + 1])[0]) for row in range(frame.height)]
        if together.tolist() != alone:
            raise BadInputError(
                f"Slice {text!r} looks at other rows.",
                field="slices",
                hint="Compare with a number that you know instead.",
            )


def _by_edges(name: str, edges: Sequence[float]) -> Cut | None:
    inner = sorted(set(edges))
    if not inner:
        return None
    shown = [f"{edge:.4g}" for edge in inner]
    names = [f"{name}<={shown[0]}"]
    names += [f"{name} {low}..{high}" for low, high in pairwise(shown)]
    names.append(f"{name}>{shown[-1]}")
    return Cut(name, tuple(names), edges=tuple(inner))


def _by_values(name: str, values: Sequence[str]) -> Cut | None:
    if not values:
        return None
    return Cut(name, tuple(f"{name}={value}" for value in values), values=tuple(values))


def _of_profile(profile: ColumnProfile) -> Cut | None:
    if profile.type == "category":
        most = sorted(profile.categories, key=lambda value: (-profile.categories[value], value))
        return _by_values(profile.name, most[:MOST_VALUES])
    if not profile.edges:
        return None
    shares = np.cumsum(profile.counts[:-1]) / max(sum(profile.counts), 1)
    places = [int(np.searchsorted(shares, part / PARTS)) for part in range(1, PARTS)]
    return _by_edges(profile.name, [profile.edges[p] for p in places if p < len(profile.edges)])


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8).cast(pl.String).replace({"1": "true", "0": "false"})
    return column.cast(pl.String)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
