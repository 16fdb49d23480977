"""Keep the distribution of any number of values in a few kilobytes, with an error that is known.

A sketch is a few runs of ascending values with the rows each stands for. While a column has at
most :data:`CAPACITY` different values they are all kept, and everything read from the sketch is
exact. Beyond that a run of n rows is thinned to the values at the ranks ``(i + 1/2) n / m``,
which moves no rank by more than ``n / 2m``; eight runs are joined into one at a time, so that n
rows are thinned about ``log8(n / CAPACITY)`` times. The errors are added up as they are made:
what a sketch states is a promise for every value, not a probability, whatever was merged with
whatever in which order. For a billion rows it stays below 1e-3.

KLL sketches of the usual size (k = 200) are off by 1 to 2 %, which is as much as the drifts
that are looked for; t-digest and DDSketch promise nothing for ranks.

Source: Munro and Paterson, Selection and sorting with limited storage, Theoretical Computer
Science 12 (1980), and Agarwal et al., Mergeable summaries, ACM TODS 38 (2013), section 3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, TooFewError
from mainspring.numerics.histograms import Counts, Floats

#: Values of one run. Thinned to this many, ranks move by at most 1.2e-4 of the rows.
CAPACITY = 4_096
#: Values of a sketch that is kept: 2.4e-4 more, for half of the bytes.
KEPT = 2_048
#: Runs of one level that are joined into one of the next.
FAN_IN = 8
#: Values sorted at once: 512 kB, which a core's own cache holds.
BLOCK = 65_536

_HEAD = struct.Struct("<BQdI")
_FORM = 1


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Ascending values, the rows each stands for, and how far a rank can be off, in rows."""

    values: Floats
    weights: Floats
    rows: int
    error: float
    level: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantileSketch:
    """The distribution of what was added. Infinities are values, NaN are not."""

    runs: tuple[Run, ...] = ()

    @property
    def rows(self) -> int:
        """How many values it was made of."""
        return sum(run.rows for run in self.runs)

    @property
    def error(self) -> float:
        """By what share of the rows any rank read from it can be off at most; 0: it is exact."""
        rows = self.rows
        return sum(run.error for run in self.runs) / rows if rows else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes its arrays hold."""
        return sum(run.values.nbytes + run.weights.nbytes for run in self.runs)


def add(sketch: QuantileSketch, values: npt.ArrayLike) -> QuantileSketch:
    """Return the sketch with further values; NaN are left out.

    Example:
        >>> quantile(add(QuantileSketch(), [3.0, 1.0, 2.0]), 0.5)
        2.0
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    runs = list(sketch.runs)
    for start in range(0, flat.size, BLOCK):
        ordered = np.sort(flat[start : start + BLOCK])
        ordered = ordered[: np.searchsorted(ordered, np.nan)]
        if ordered.size:
            runs = _carried([*runs, _run_of(ordered)])
    return QuantileSketch(tuple(runs))


def merge(sketches: Iterable[QuantileSketch]) -> QuantileSketch:
    """Return the sketch of all values together; its error is at most the largest, and thinning.

    Example:
        >>> one, two = add(QuantileSketch(), [1.0]), add(QuantileSketch(), [2.0, 3.0])
        >>> merge([one, two]).rows
        3
    """
    return QuantileSketch(tuple(_carried([run for one in sketches for run in one.runs])))


def compact(sketch: QuantileSketch, most: int = KEPT) -> QuantileSketch:
    """Return a sketch of one run of at most ``most`` values, as it is kept."""
    if not sketch.runs:
        return sketch
    return QuantileSketch((_joined(sketch.runs, most),))


def ranks(sketch: QuantileSketch, at: npt.ArrayLike) -> Floats:
    """Return the share of values that are at most ``at``, shape as ``at``, 0 to 1.

    Raises:
        TooFewError: if the sketch is empty.
    """
    _check_filled(sketch)
    points = np.asarray(at, dtype=np.float64)
    below = np.zeros(points.shape)
    for run in sketch.runs:
        reached = np.concatenate(([0.0], np.cumsum(run.weights)))
        below += reached[np.searchsorted(run.values, points, side="right")]
    return np.minimum(below / sketch.rows, 1.0)


def quantiles(sketch: QuantileSketch, probabilities: npt.ArrayLike) -> Floats:
    """Return the least kept values with at least these shares of the rows at or below them.

    Raises:
        TooFewError: if the sketch is empty.
        OutOfRangeError: if a probability is not between 0 and 1.
    """
    _check_filled(sketch)
    wanted = np.asarray(probabilities, dtype=np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise OutOfRangeError(f"Probabilities lie in [0, 1], found {wanted.tolist()}.")
    values, weights = _sorted_together(sketch.runs)
    reached = np.cumsum(weights) / weights.sum()
    # A hair below what is wanted: 0.3 of 10 rows must not ask for the fourth of them.
    at = np.searchsorted(reached, wanted - 1e-12, side="left")
    return np.asarray(values[np.minimum(at, values.size - 1)], dtype=np.float64)


def quantile(sketch: QuantileSketch, probability: float) -> float:
    """Return one quantile; see :func:`quantiles`."""
    return float(quantiles(sketch, [probability])[0])


def distance(one: QuantileSketch, two: QuantileSketch) -> float:
    """Return the Kolmogorov-Smirnov distance of two sketches, 0 to 1.

    It is off by at most the sum of their errors.

    Raises:
        TooFewError: if one is empty.
    """
    _check_filled(one)
    _check_filled(two)
    points = np.concatenate([run.values for run in (*one.runs, *two.runs)])
    return float(np.abs(ranks(one, points) - ranks(two, points)).max())


def cells(sketch: QuantileSketch, edges: npt.ArrayLike) -> Counts:
    """Return about how many rows fall into each cell between edges, shape (edges + 1,).

    Cells are those of :mod:`mainspring.numerics.histograms`; the counts sum to the rows.
    """
    points = np.asarray(edges, dtype=np.float64)
    rows = sketch.rows
    below = np.rint(ranks(sketch, points) * rows) if rows else np.zeros(points.size)
    return np.diff(below, prepend=0, append=rows).astype(np.int64)


def pairs(sketch: QuantileSketch) -> tuple[Floats, Floats]:
    """Return the different values kept, ascending, and the rows that each stands for."""
    if not sketch.runs:
        return np.empty(0), np.empty(0)
    return _coalesced(*_sorted_together(sketch.runs))


def of_pairs(values: npt.ArrayLike, weights: npt.ArrayLike, error: float) -> QuantileSketch:
    """Return the sketch that another tool's values and the rows each stands for make.

    ``error`` is what that tool states of its ranks, as a share of the rows.

    Raises:
        OutOfRangeError: if a value is missing or a weight is not above 0.
    """
    points = np.asarray(values, dtype=np.float64).ravel()
    rows = np.asarray(weights, dtype=np.float64).ravel()
    if points.size != rows.size or np.isnan(points).any() or not (rows > 0).all():
        raise OutOfRangeError("A sketch is of values, none missing, with rows above 0 each.")
    if points.size == 0:
        return QuantileSketch()
    order = np.argsort(points, kind="stable")
    whole = round(float(rows.sum()))
    points, rows = _coalesced(points[order], rows[order])
    run = _thinned(points, rows, whole, error * whole, CAPACITY, _level(whole))
    return QuantileSketch((run,))


def pack(sketch: QuantileSketch) -> bytes:
    """Return a sketch as bytes, thinned to :data:`KEPT` values; :func:`unpack` reads them."""
    kept = compact(sketch)
    if not kept.runs:
        return _HEAD.pack(_FORM, 0, 0.0, 0)
    run = kept.runs[0]
    head = _HEAD.pack(_FORM, run.rows, run.error, run.values.size)
    body = run.values.astype("<f8").tobytes() + run.weights.astype("<f8").tobytes()
    return head + zlib.compress(body, 6)


def unpack(data: bytes) -> QuantileSketch:
    """Return the sketch that :func:`pack` wrote.

    Raises:
        OutOfRangeError: if these bytes are no sketch, or of a later form.
    """
    try:
        form, rows, error, size = _HEAD.unpack_from(data)
        if form != _FORM:
            raise OutOfRangeError(f"A quantile sketch of form {form}; this release reads {_FORM}.")
        if size == 0:
            return QuantileSketch()
        if size > CAPACITY:
            raise OutOfRangeError(f"A quantile sketch holds up to {CAPACITY} values, not {size}.")
        body = zlib.decompressobj().decompress(data[_HEAD.size :], 16 * size)
        both = np.frombuffer(body, dtype="<f8").reshape(2, size).astype(np.float64)
    except (struct.error, zlib.error, ValueError) as problem:
        if isinstance(problem, OutOfRangeError):
            raise
        raise OutOfRangeError(f"These bytes are no quantile sketch: {problem}.") from problem
    return QuantileSketch((Run(both[0], both[1], rows, error, _level(rows)),))


def _level(rows: int) -> int:
    """Return the level of a run that came from elsewhere, by the rows behind it."""
    level = 0
    while rows > BLOCK:
        rows //= FAN_IN
        level += 1
    return level


def _run_of(ordered: Floats) -> Run:
    values, weights = _coalesced(ordered, np.ones(ordered.size))
    return _thinned(values, weights, ordered.size, 0.0, CAPACITY, level=0)


def _carried(runs: Sequence[Run]) -> list[Run]:
    """Join runs of one level, from the lowest up, until no level has too many."""
    levels: dict[int, list[Run]] = {}
    for run in runs:
        levels.setdefault(run.level, []).append(run)
    level = min(levels, default=0)
    while level <= max(levels, default=-1):
        waiting = levels.get(level, [])
        while len(waiting) >= FAN_IN:
            joined = _joined(waiting[:FAN_IN], CAPACITY)
            waiting = waiting[FAN_IN:]
            levels.setdefault(joined.level, []).append(joined)
        levels[level] = waiting
        level += 1
    return [run for level in sorted(levels) for run in levels[level]]


def _joined(runs: Sequence[Run], most: int) -> Run:
    values, weights = _coalesced(*_sorted_together(runs))
    rows = sum(run.rows for run in runs)
    error = sum(run.error for run in runs)
    level = max(run.level for run in runs) + 1
    return _thinned(values, weights, rows, error, most, level)


def _sorted_together(runs: Sequence[Run]) -> tuple[Floats, Floats]:
    values = np.concatenate([run.values for run in runs])
    weights = np.concatenate([run.weights for run in runs])
    # Stable: the runs are sorted, and merging what is sorted is what such a sort does best.
    order = np.argsort(values, kind="stable")
    return values[order], weights[order]


def _coalesced(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return each value once, with the rows of all its appearances."""
    if values.size < 2:
        return values, weights
    new = np.concatenate(([True], values[1:] != values[:-1]))
    if new.all():
        return values, weights
    starts = np.flatnonzero(new)
    return values[starts], np.add.reduceat(weights, starts)


def _thinned(
    values: Floats, weights: Floats, rows: int, error: float, most: int, level: int
) -> Run:
    if values.size <= most:
        return Run(values, weights, rows, error, level)
    reached = np.cumsum(weights)
    step = reached[-1] / most
    # The value at rank (i + 1/2) step stands for a step of rows: no rank moves by more than half.
    at = np.searchsorted(reached, (np.arange(most) + 0.5) * step, side="right")
    picked = values[np.minimum(at, values.size - 1)]
    values, weights = _coalesced(picked, np.full(most, step))
    return Run(values, weights, rows, error + float(step) / 2, level)


def _check_filled(sketch: QuantileSketch) -> None:
    if not sketch.runs:
        raise TooFewError("A sketch of no value has no ranks.")
