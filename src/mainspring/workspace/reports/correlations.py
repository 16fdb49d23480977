"""Say which pairs of number columns move together otherwise than they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mainspring.numerics.correlation import correlation_changes, rank_correlations

if TYPE_CHECKING:
    import polars as pl

#: Columns whose pairs are compared, and rows of a side that are looked at: ranks are sorted.
MOST_COLUMNS = 60
MOST_ROWS = 50_000
LEAST_ROWS = 30
#: A change of a correlation below it does not matter, however certain it is.
MATERIAL = 0.1
_SHOWN = 20


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns whose rank correlation changed beyond chance."""

    first: str
    second: str
    before: float
    now: float
    reach: float  #: the least change that would have been certain


def moved(
    a: pl.DataFrame, b: pl.DataFrame, names: Sequence[str], alpha: float
) -> tuple[list[Moved], str]:
    """Return the pairs that changed most, and in words what was looked at."""
    kept = [n for n in names if b[n].dtype.is_numeric() and a[n].dtype.is_numeric()]
    if len(kept) < 2:
        return [], "Fewer than two columns hold numbers on both sides."
    if min(a.height, b.height) < LEAST_ROWS:
        return [], f"Correlations are compared from {LEAST_ROWS} rows on."
    told = f"All pairs of {len(kept)} columns of numbers."
    if len(kept) > MOST_COLUMNS:
        told = f"All pairs of the first {MOST_COLUMNS} of {len(kept)} columns of numbers."
        kept = kept[:MOST_COLUMNS]
    sides = [_sample(frame).select(kept) for frame in (a, b)]
    first, second = (rank_correlations(_matrix(side)) for side in sides)
    found = correlation_changes(first, second, sides[0].height, sides[1].height, alpha)
    change = np.abs(found.now - found.before)
    places = np.flatnonzero(found.certain & (change > MATERIAL))
    places = places[np.argsort(-change[places], kind="stable")][:_SHOWN]
    return [
        Moved(
            first=kept[int(found.first[at])],
            second=kept[int(found.second[at])],
            before=float(found.before[at]),
            now=float(found.now[at]),
            reach=float(found.reach[at]),
        )
        for at in places
    ], told


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows at even steps: drawn by chance, the same files would differ from day to day."""
    if frame.height <= MOST_ROWS:
        return frame
    return frame.gather_every(-(-frame.height // MOST_ROWS))


def _matrix(frame: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    import polars as pl

    columns = [frame[name].cast(pl.Float64).fill_null(float("nan")) for name in frame.columns]
    return np.column_stack([column.to_numpy() for column in columns])
