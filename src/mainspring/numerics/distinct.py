"""Count different values in bounded memory, and say how many of them come again.

Every value is hashed to 64 bits; the :data:`KEPT` smallest hashes are kept, with how often each
came. A hash that is among the smallest now was so from the beginning, so these counts are
exact, and the kept values are a uniform sample of the different ones. Merging gives the same
bytes in whatever order. Up to :data:`KEPT` different values everything is exact.

Source: Bar-Yossef et al., Counting distinct elements in a data stream, RANDOM 2002, algorithm 2
(the k-th smallest hash); Beyer et al., On synopses for distinct-value estimation, SIGMOD 2007
(the unbiased (k - 1) / u, its standard error, merging); Gibbons, Distinct sampling for
highly-accurate answers, VLDB 2001 (the counts).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.histograms import Counts
from mainspring.numerics.intervals import wilson

Hashes = npt.NDArray[np.uint64]

#: Hashes kept: the standard error of a count is 1 / sqrt(KEPT - 2) = 2.2 %.
KEPT = 2_048

_HEAD = struct.Struct("<B?I")
_FORM = 1
_EXACT = 2.0**53
_BYTES_AT_ONCE = 2**21
# Odd constants with bits well spread: of splitmix64, and the golden ratio.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class DistinctSketch:
    """The smallest hashes, ascending, and how often each came; ``full``: others were dropped."""

    hashes: Hashes
    counts: Counts
    full: bool = False


EMPTY = DistinctSketch(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))


def add(sketch: DistinctSketch, hashes: Hashes, counts: Counts | None = None) -> DistinctSketch:
    """Return the sketch with further hashes, each as often as ``counts`` says, or once.

    >>> count(add(EMPTY, hash_numbers([1.0, 2.0, 2.0])))
    2.0
    """
    if sketch.full:
        wanted = hashes <= sketch.hashes[-1]
        hashes = hashes[wanted]
        counts = None if counts is None else counts[wanted]
    if hashes.size == 0:
        return sketch
    if counts is None:
        counts = np.ones(hashes.size, dtype=np.int64)
    together = np.concatenate((sketch.hashes, hashes))
    order = np.argsort(together)
    together = together[order]
    weights = np.concatenate((sketch.counts, counts))[order]
    starts = np.flatnonzero(np.concatenate(([True], together[1:] != together[:-1])))
    kept = together[starts][:KEPT]
    summed = np.add.reduceat(weights, starts)[:KEPT].astype(np.int64)
    return DistinctSketch(kept, summed, sketch.full or starts.size > KEPT)


def merge(one: DistinctSketch, two: DistinctSketch) -> DistinctSketch:
    """Return the sketch of both together, the same whichever comes first."""
    joined = add(one, two.hashes, two.counts)
    if not two.full or not joined.hashes.size:
        return joined
    # Beyond the last hash of a full sketch nothing is known of its rows.
    known = joined.hashes <= two.hashes[-1]
    return DistinctSketch(joined.hashes[known], joined.counts[known], full=True)


def count(sketch: DistinctSketch) -> float:
    """Return about how many different values there were; exact unless the sketch is full."""
    if not sketch.full:
        return float(sketch.hashes.size)
    kept = sketch.hashes.size
    return (kept - 1) / ((float(sketch.hashes[-1]) + 1) / 2.0**64)


def relative_error(sketch: DistinctSketch) -> float:
    """Return the relative standard error of :func:`count`: 0 where it is exact."""
    return 0.0 if not sketch.full else float(1 / np.sqrt(max(sketch.hashes.size - 2, 1)))


def repeated(sketch: DistinctSketch) -> tuple[float, float]:
    """Return the share of different values that came more than once, and its upper end (95 %).

    Exact unless the sketch is full; of no value it is 0.
    """
    seen = int(sketch.hashes.size)
    if seen == 0:
        return 0.0, 0.0
    again = int((sketch.counts > 1).sum())
    if not sketch.full:
        return again / seen, again / seen
    return again / seen, wilson(again, seen).high


def hash_numbers(values: npt.ArrayLike) -> Hashes:
    """Return 64 bits for every number, equal for equal numbers of whatever type.

    Whole numbers beyond 2**53 are told apart where they come as whole numbers.
    """
    array = np.asarray(values)
    floats = array.astype(np.float64)
    floats += 0.0  # -0.0 becomes 0.0
    bits = floats.view(np.uint64)
    if array.dtype.kind in "iu":
        large = np.abs(floats) >= _EXACT
        if large.any():
            bits = np.where(large, array.astype(np.uint64) ^ _STEP, bits)
    return _mixed(bits)


def hash_texts(data: bytes, lengths: Sequence[int] | npt.NDArray[np.integer]) -> Hashes:
    """Return 64 bits for every text of ``data``, where they stand one after another in UTF-8.

    ``lengths`` are in bytes. The same on every machine and in every release.

    >>> one, two = hash_texts(b"UlmUlm", [3, 3])
    >>> bool(one == two)
    True
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    ends = np.cumsum(sizes)
    if int(sizes.sum()) != len(data):
        raise OutOfRangeError(f"{len(data)} bytes cannot be {int(sizes.sum())} bytes of text.")
    out = np.empty(sizes.size, dtype=np.uint64)
    first = 0
    while first < sizes.size:
        begin = int(ends[first] - sizes[first])
        last = int(np.searchsorted(ends, begin + _BYTES_AT_ONCE, side="right"))
        last = max(last, first + 1)
        part = np.frombuffer(data, np.uint8, int(ends[last - 1]) - begin, begin)
        out[first:last] = _polynomials(part, sizes[first:last])
        first = last
    return out


def pack(sketch: DistinctSketch) -> bytes:
    """Return a sketch as bytes; :func:`unpack` reads them."""
    head = _HEAD.pack(_FORM, sketch.full, sketch.hashes.size)
    body = sketch.hashes.astype("<u8").tobytes() + sketch.counts.astype("<i8").tobytes()
    return head + zlib.compress(body, 6)


def unpack(data: bytes) -> DistinctSketch:
    """Return the sketch that :func:`pack` wrote.

    Raises:
        OutOfRangeError: if these bytes are no sketch, or of a later form.
    """
    try:
        form, full, size = _HEAD.unpack_from(data)
        if form != _FORM or size > KEPT:
            raise OutOfRangeError(f"A sketch of form {form} with {size} hashes cannot be read.")
        body = zlib.decompressobj().decompress(data[_HEAD.size :], 16 * size + 1)
        hashes = np.frombuffer(body, "<u8", size).astype(np.uint64)
        counts = np.frombuffer(body, "<i8", size, 8 * size).astype(np.int64)
    except (struct.error, zlib.error, ValueError) as problem:
        if isinstance(problem, OutOfRangeError):
            raise
        raise OutOfRangeError(f"These bytes are no sketch of values: {problem}.") from problem
    return DistinctSketch(hashes, counts, full)


def _polynomials(data: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> Hashes:
    """Return sum((byte + 1) * STEP ** place) mod 2**64 of every text, well mixed."""
    if sizes.size == 0:
        return np.empty(0, dtype=np.uint64)
    longest = int(sizes.max())
    powers = np.multiply.accumulate(np.full(max(longest, 1), _STEP, dtype=np.uint64))
    starts = np.cumsum(sizes) - sizes
    place = np.arange(data.size) - np.repeat(starts, sizes)
    terms = (data.astype(np.uint64) + np.uint64(1)) * powers[place]
    reached = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)))
    sums = reached[starts + sizes] - reached[starts]
    return _mixed(sums ^ (sizes.astype(np.uint64) * _SECOND))


def _mixed(bits: Hashes) -> Hashes:
    """Spread bits evenly, in place.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014
    (the finaliser of splitmix64).
    """
    bits += _STEP
    bits ^= bits >> np.uint64(30)
    bits *= _FIRST
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND
    bits ^= bits >> np.uint64(31)
    return bits
