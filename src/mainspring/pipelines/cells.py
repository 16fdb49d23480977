"""Say at which cell two tables or arrays differ, holding a column of each at a time.

Columns are read one after the other from the files themselves, and looked at in slices, so that
two tables larger than memory can be compared while one column of each fits.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.ports import Objects
from mainspring.pipelines.outputs.files import local
from mainspring.pipelines.outputs.numbers import read_array

SLICE = 1_000_000  #: cells of a column that are looked at together
MOST_SORTED = 20_000_000  #: rows up to which it is asked whether only their order differs
EXACT = 2.0**-53  #: how far whole numbers are apart that a float cannot tell apart
_SHOWN = 60


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far two values are apart, and the first place beyond the tolerance, else the worst."""

    largest: float = 0.0  #: relative difference of numbers; infinite where something else differs
    where: str = ""  #: in words; "" where every cell is the same


def tables(was: str, now: str, objects: Objects, tolerance: float) -> Place:
    """Return how two Parquet files, by their digests, differ."""
    with tempfile.TemporaryDirectory(prefix="mainspring-differ-") as place:
        old, new = (
            local(digest, objects, Path(place) / name)
            for digest, name in ((was, "was"), (now, "now"))
        )
        return _files(old, new, tolerance)


def _files(was: Path, now: Path, tolerance: float) -> Place:
    import polars as pl

    old, new = (pl.read_parquet_schema(one) for one in (was, now))
    rows, later = (
        int(pl.scan_parquet(one).select(pl.len()).collect().item()) for one in (was, now)
    )
    told = _shapes(old, new)
    if not told and rows != later:
        told = f"{rows:,} rows became {later:,}"
    if told:
        return Place(largest=math.inf, where=told)
    found = Place()
    for name in old:
        one = _columns(name, was, now, tolerance)
        first = not found.where or (found.largest <= tolerance < one.largest)
        where = one.where if one.where and first else found.where
        found = Place(largest=max(one.largest, found.largest), where=where)
    if found.largest > tolerance and rows <= MOST_SORTED and _same_rows(was, now):
        return Place(largest=math.inf, where=f"the same rows in another order: {found.where}")
    return found


def _shapes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return in which column two schemas differ, in words; "" if they are the same."""
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            return f"column {name} is gone"
        if name not in old:
            return f"column {name} is new"
        if old[name] != new[name]:
            return f"column {name} was {old[name]} and is {new[name]}"
    return "" if list(old) == list(new) else "its columns come in another order"


def _same_rows(was: Path, now: Path) -> bool:
    """Return whether two tables have the same rows, in whatever order."""
    import polars as pl

    sums = [
        pl.scan_parquet(file).select(pl.struct(pl.all()).hash().sort()).collect(engine="streaming")
        for file in (was, now)
    ]
    return sums[0].equals(sums[1])


def _columns(name: str, was: Path, now: Path, tolerance: float) -> Place:
    import polars as pl

    # Not memory-mapped: what is read is this column's part of the file, and nothing stays.
    old, new = (
        pl.read_parquet(one, columns=[name], memory_map=False).to_series() for one in (was, now)
    )
    if isinstance(old.dtype, pl.Categorical):  # their codes are in the order they were met
        old, new = old.cast(pl.String), new.cast(pl.String)
    largest, row, cells = 0.0, -1, 0
    for start in range(0, old.len(), SLICE):
        far, zeros = _far_cells(old.slice(start, SLICE), new.slice(start, SLICE))
        differs = far > 0
        beyond = far > tolerance
        worst = float(far.max())
        count = int(differs.sum())
        if count and largest <= tolerance and (worst > largest or row < 0):
            row = start + int(beyond.argmax() if beyond.any() else far.argmax())
        elif row < 0 and not cells and zeros.any():
            row = start + int(zeros.argmax())
        largest, cells = max(largest, worst), cells + count
    if row < 0:
        return Place()
    pair = f"{short(old[row])} -> {short(new[row])}"
    more = f" ({cells:,} of {old.len():,} cells)" if cells else ""
    return Place(largest=largest, where=f"column {name}, row {row:,}: {pair}{more}")


def _far_cells(old: Any, new: Any) -> tuple[Any, Any]:
    """Return how far the cells of two slices are apart, and where a zero has another sign."""
    import numpy as np
    import polars as pl

    nothing = np.zeros(old.len(), dtype=bool)
    if isinstance(old.dtype, pl.Struct):
        pairs = zip(old.struct.unnest(), new.struct.unnest(), strict=True)
        far, zeros = zip(*(_far_cells(*pair) for pair in pairs), strict=True)
        missing = np.where((old.is_null() != new.is_null()).to_numpy(), np.inf, 0.0)
        return np.maximum.reduce([missing, *far]), np.logical_or.reduce(zeros)
    if isinstance(old.dtype, pl.List | pl.Array):
        return _far_lists(old, new), nothing
    if not old.dtype.is_numeric() or old.dtype.is_decimal():
        return np.where((~old.eq_missing(new)).to_numpy(), np.inf, 0.0), nothing
    missing = (old.is_null() != new.is_null()).to_numpy()
    either = old.is_null().to_numpy() | missing
    a, b = (one.cast(pl.Float64).fill_null(0.0).to_numpy() for one in (old, new))
    far = _far(a, b)
    far[either & ~missing] = 0.0
    far[missing] = np.inf
    if old.dtype.is_integer():  # beyond 2**53 a float no longer tells them apart
        apart = (~old.eq_missing(new)).to_numpy()
        far[apart & (far == 0)] = EXACT
        return far, nothing
    return far, (np.signbit(a) != np.signbit(b)) & (a == 0) & (b == 0)


def _far_lists(old: Any, new: Any) -> Any:
    """Return how far lists are apart: as far as their parts, if they have as many."""
    import numpy as np

    far = np.where((~old.eq_missing(new)).to_numpy(), np.inf, 0.0)
    for row in np.flatnonzero(far):
        a, b = old[int(row)], new[int(row)]
        if a is not None and b is not None and a.len() == b.len() and a.len():
            far[row] = float(_far_cells(a, b)[0].max())
    return far


def _far(a: Any, b: Any) -> Any:
    """Return relative differences of two arrays, element by element; NaN is equal to NaN."""
    import numpy as np

    with np.errstate(all="ignore"):
        far = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        finite = np.isfinite(a) & np.isfinite(b)
    return np.where(same, 0.0, np.where(finite, far, np.inf))


def arrays(was: bytes, now: bytes, tolerance: float) -> Place:
    """Return how two kept arrays differ."""
    import numpy as np

    old, new = read_array(was), read_array(now)
    if old.dtype != new.dtype or old.shape != new.shape:
        kinds = [f"{one.dtype}{list(one.shape)}" for one in (old, new)]
        return Place(largest=math.inf, where=f"{kinds[0]} became {kinds[1]}")
    shape, flat = old.shape, (old.ravel(), new.ravel())
    largest, at, cells = 0.0, -1, 0
    for start in range(0, flat[0].size, SLICE):
        far = _far_elements(*(one[start : start + SLICE] for one in flat))
        worst, count = float(far.max()), int((far > 0).sum())
        beyond = far > tolerance
        if count and largest <= tolerance and (worst > largest or at < 0):
            at = start + int(beyond.argmax() if beyond.any() else far.argmax())
        largest, cells = max(largest, worst), cells + count
    if at < 0:
        return Place()
    place = ", ".join(str(int(one)) for one in np.unravel_index(at, shape))
    pair = f"{short(flat[0][at].item())} -> {short(flat[1][at].item())}"
    return Place(
        largest=largest, where=f"element [{place}]: {pair} ({cells:,} of {flat[0].size:,})"
    )


def _far_elements(old: Any, new: Any) -> Any:
    import numpy as np

    if old.dtype.kind in "iufb":
        far = _far(old.astype(float), new.astype(float))
        if old.dtype.kind in "iu":
            far[(old != new) & (far == 0)] = EXACT
        return far
    if old.dtype.kind == "c":
        return np.maximum(_far(old.real, new.real), _far(old.imag, new.imag))
    same = old == new
    if old.dtype.kind in "mM":
        same |= np.isnat(old) & np.isnat(new)
    return np.where(same, 0.0, np.inf)


def short(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
