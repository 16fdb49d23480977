"""Judge parts of the rows apart: how much is lost there, and by how much more than another model.

The parts that somebody named share the chance of a false finding among them. Parts that are
searched for are found on one half of the rows and judged on the other, at a chance shared among
those found: what the search picked out by luck fails there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.intervals import Interval, by_block_or_row

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Rows that a part needs before its mean says anything; in a search, in each half.
LEAST_ROWS = 30
#: Parts that a search takes over to the other half.
CANDIDATES = 5
#: Standard errors above 0 that a part must reach in its half, or the rest cannot stand the test.
_WORTH = 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """What is lost in one part: alone, and minus what another model loses on the same rows."""

    rows: int
    loss: Interval
    other: float | None
    difference: Interval | None  # loss - other, row by row
    by_block: bool


def judge(
    mask: Mask,
    losses: npt.ArrayLike,
    others: npt.ArrayLike | None = None,
    blocks: npt.NDArray[np.generic] | None = None,
    *,
    alpha: float,
    least: int = LEAST_ROWS,
) -> Segment | None:
    """Return how a part fares; None where it has fewer than ``least`` rows.

    ``alpha`` is the chance with which one end of an interval leaves out the truth, so that the
    intervals are two-sided at 1 - 2 alpha. ``blocks`` (days, customers) of rows that hang
    together count as one observation each, where the part has at least five.

    Raises:
        ShapesDifferError: if mask, losses, others and blocks are not of the same rows.

    Example:
        >>> losses = np.tile([0.1, 0.3], 50)
        >>> judge(losses > 0, losses, losses - 0.1, alpha=0.05).difference.estimate.__round__(6)
        0.1
    """
    mine = np.asarray(losses, dtype=np.float64)
    theirs = None if others is None else np.asarray(others, dtype=np.float64)
    for name, part in (("other losses", theirs), ("blocks", blocks), ("rows", mask)):
        if part is not None and np.shape(part) != mine.shape:
            raise ShapesDifferError(f"{np.shape(part)} {name} for losses of {mine.shape}.")
    rows = int(mask.sum())
    if rows < max(least, 2):
        return None
    inside = None if blocks is None else np.asarray(blocks)[mask]
    sure = 1 - 2 * alpha
    loss, by_block = by_block_or_row(mine[mask], inside, sure)
    if theirs is None:
        return Segment(rows, loss, None, None, by_block)
    gap, _ = by_block_or_row((mine - theirs)[mask], inside, sure)
    return Segment(rows, loss, float(theirs[mask].mean()), gap, by_block)


@dataclass(frozen=True, slots=True)
class Column:
    """A column cut into parts: their names, and for every row its part's place or -1."""

    names: tuple[str, ...]
    codes: Ints


@dataclass(frozen=True, slots=True)
class Found:
    """A part that a search found: all of its rows, and those that it is to be judged on."""

    name: str
    mask: Mask
    judged: Mask


def search(
    excess: npt.ArrayLike,
    columns: Sequence[Column],
    first: Mask,
    *,
    least: int = LEAST_ROWS,
    most: int = CANDIDATES,
) -> tuple[list[Found], int]:
    """Return parts where ``excess`` is surely above 0 in one half, and how many were looked at.

    The surest comes first. ``first`` says which rows are of the half that is searched; a found
    part is to be judged on the rows of the other half. Parts are values of one column and of
    pairs of columns. Of parts that are mostly the same rows only the best is returned.

    Example:
        >>> codes = np.arange(400) // 2 % 4
        >>> column = Column(("a", "b", "c", "d"), codes)
        >>> excess = np.where(codes == 2, 0.5, -0.1)
        >>> found, looked = search(excess, [column], np.arange(400) % 2 == 0)
        >>> [one.name for one in found], looked
        (['c'], 4)
    """
    values = np.asarray(excess, dtype=np.float64)
    ranked: list[tuple[float, str, Mask]] = []
    looked = 0
    for name, mask in _parts(columns, 2 * least):
        looked += 1
        seen = values[mask & first]
        if min(seen.size, int((mask & ~first).sum())) < least:
            continue
        error = max(float(seen.std(ddof=1)) / np.sqrt(seen.size), 1e-12)
        if float(seen.mean()) > _WORTH * error:
            ranked.append((float(seen.mean()) / error, name, mask))
    chosen: list[Found] = []
    for _, name, mask in sorted(ranked, key=lambda one: (-one[0], one[1])):
        if len(chosen) == most:
            break
        rows = int(mask.sum())
        if all(2 * int((mask & other.mask).sum()) < rows for other in chosen):
            chosen.append(Found(name, mask, mask & ~first))
    return chosen, looked


def _parts(columns: Sequence[Column], least: int) -> Iterator[tuple[str, Mask]]:
    for one in columns:
        counts = np.bincount(one.codes[one.codes >= 0], minlength=1)
        for place in np.flatnonzero(counts >= least).tolist():
            yield one.names[place], one.codes == place
    for left, right in combinations(columns, 2):
        width = len(right.names)
        both = np.where(
            (left.codes >= 0) & (right.codes >= 0), left.codes * width + right.codes, -1
        )
        counts = np.bincount(both[both >= 0], minlength=1)
        for place in np.flatnonzero(counts >= least).tolist():
            name = f"{left.names[place // width]} & {right.names[place % width]}"
            yield name, both == place
