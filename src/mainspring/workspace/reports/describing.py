"""Describe one column of a table by figures that people know, and say what kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.ground.objects import ColumnProfile
from mainspring.ground.words import stamp
from mainspring.numerics.profiles import OTHER

if TYPE_CHECKING:
    import polars as pl

#: ``number`` and ``category`` are compared, a ``time`` always goes on, ``other`` is a list or so.
Kind = Literal["number", "category", "time", "other"]

QUARTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOP = 5


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """One column on one side. What does not apply to its kind, or is not known, is None."""

    rows: int
    missing: int
    type: str  #: as the table has it, such as Int64
    distinct: int | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    quantiles: list[float] | None = None  #: at 5, 25, 50, 75 and 95 %
    zeros: int | None = None
    top: list[tuple[str, int]] = []  #: categories: the most frequent values with their rows
    first: str | None = None  #: times: the oldest, in UTC
    last: str | None = None

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing


def kind_of(dtype: pl.DataType) -> Kind:
    """Return how a column of a polars type is compared.

    >>> import polars as pl
    >>> kind_of(pl.Int64()), kind_of(pl.Boolean()), kind_of(pl.Date()), kind_of(pl.List(pl.Int8))
    ('number', 'category', 'time', 'other')
    """
    import polars as pl

    if dtype.is_numeric():
        return "number"
    if dtype in (pl.String, pl.Boolean, pl.Null) or isinstance(dtype, pl.Categorical | pl.Enum):
        return "category"
    return "time" if dtype in (pl.Date, pl.Datetime) else "other"


def declared_of(dtype: pl.DataType) -> Literal["float", "int", "str", "bool"]:
    """Return what a signature would call a polars type."""
    import polars as pl

    if dtype == pl.Boolean:
        return "bool"
    if dtype.is_integer():
        return "int"
    return "float" if dtype.is_numeric() else "str"


def describe(column: pl.Series) -> Described:
    """Return the figures of one column of a table."""
    import polars as pl

    kind = kind_of(column.dtype)
    told: dict[str, Any] = {"rows": column.len(), "type": str(column.dtype)}
    missing = column.null_count()
    if kind == "number":
        values = column.cast(pl.Float64).drop_nulls()
        values = values.filter(values.is_finite())  # an infinity is no value to compare
        missing = column.len() - values.len()
        told |= _of_numbers(values)
    elif kind == "category" and column.dtype != pl.Null:
        text = column.drop_nulls().cast(pl.String)
        told |= {"distinct": text.n_unique(), "top": _top(text)}
    elif kind == "time":
        moments = column.cast(pl.Datetime("us")).dt.epoch("us").drop_nulls() / 1e6
        told |= {"distinct": moments.n_unique()}
        told |= {"first": _moment(moments.min()), "last": _moment(moments.max())}
    return Described(missing=missing, **told)


def described(profile: ColumnProfile) -> Described:
    """Return the figures of a column of which only its profile was kept."""
    told: dict[str, Any] = {"rows": profile.rows, "missing": profile.missing}
    if profile.type == "number":
        told |= {"low": profile.low, "high": profile.high, "mean": profile.mean}
        return Described(type="number", std=profile.std, quantiles=_from_counts(profile), **told)
    named = {name: rows for name, rows in profile.categories.items() if name != OTHER}
    ranked = sorted(named.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP]
    distinct = None if OTHER in profile.categories else len(named)
    return Described(type="category", distinct=distinct, top=ranked, **told)


def _of_numbers(values: pl.Series) -> dict[str, Any]:
    if values.len() == 0:
        return {"distinct": 0}
    ordered = values.sort()
    return {
        "distinct": values.n_unique(),
        "mean": _finite(ordered.mean()),
        "std": _finite(ordered.std(ddof=0)),
        "low": _finite(ordered[0]),
        "high": _finite(ordered[-1]),
        "quantiles": [float(ordered.quantile(q, "linear") or 0.0) for q in QUARTILES],
        "zeros": int((ordered == 0).sum()),
    }


def _finite(value: Any) -> float | None:
    number = None if value is None else float(value)
    return number if number is not None and abs(number) < float("inf") else None


def _top(text: pl.Series) -> list[tuple[str, int]]:
    counted = text.value_counts(name="rows").sort(["rows", text.name], descending=[True, False])
    return [(str(value)[:200], int(rows)) for value, rows in counted.head(_TOP).rows()]


def _moment(seconds: Any) -> str | None:
    return None if seconds is None else stamp(float(seconds))


def _from_counts(profile: ColumnProfile) -> list[float] | None:
    """Return quantiles as the histogram has them: the right edge of the cell they fall in."""
    total = sum(profile.counts)
    if total == 0 or profile.high is None or profile.low is None:
        return None
    found: list[float] = []
    for share in QUARTILES:
        reached = 0
        for place, rows in enumerate(profile.counts):
            reached += rows
            if reached >= share * total:
                edge = profile.edges[place] if place < len(profile.edges) else profile.high
                found.append(min(max(edge, profile.low), profile.high))
                break
    return found
