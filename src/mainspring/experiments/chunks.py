"""Pack the points of a metric by column: steps, times and values, exact to the bit.

A chunk is one byte that names the layout, 7 bytes of zeros, then the columns, little-endian.
Steps that rise by the same amount, as they mostly do, are kept as first step and stride.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mainspring.ground.errors import DamagedError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HEAD = 8
_EVEN = 1  #: first step, stride, times, values
_LISTED = 2  #: steps, times, values


class Series(msgspec.Struct, frozen=True, eq=False):
    """Points of one metric in the order they were logged, a column each."""

    steps: Ints
    times: Floats  #: UTC seconds
    values: Floats

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, start: int, end: int | None = None) -> Series:
        """Return some of the points, by place."""
        return Series(self.steps[start:end], self.times[start:end], self.values[start:end])

    def at(self, places: Any) -> Series:
        """Return the points at some places."""
        return Series(self.steps[places], self.times[places], self.values[places])


EMPTY = Series(np.empty(0, np.int64), np.empty(0), np.empty(0))


def joined(several: list[Series]) -> Series:
    """Return series one after another."""
    if len(several) == 1:
        return several[0]
    if not several:
        return EMPTY
    return Series(
        np.concatenate([one.steps for one in several]),
        np.concatenate([one.times for one in several]),
        np.concatenate([one.values for one in several]),
    )


def pack(series: Series) -> bytes:
    """Return a series as bytes.

    >>> steps, ones = np.arange(3), np.ones(3)
    >>> len(pack(Series(steps, ones, ones)))
    72
    """
    steps = np.ascontiguousarray(series.steps, "<i8")
    layout, kept = _LISTED, steps
    if len(steps) > 2:
        # Unsigned, so that a stride across all of int64 wraps and comes back the same.
        strides = np.diff(steps.view("<u8"))
        if (strides == strides[0]).all():
            layout, kept = _EVEN, np.array([steps[0], strides[:1].view("<i8")[0]], "<i8")
    parts = (
        layout.to_bytes(_HEAD, "little"),
        kept.tobytes(),
        np.ascontiguousarray(series.times, "<f8").tobytes(),
        np.ascontiguousarray(series.values, "<f8").tobytes(),
    )
    return b"".join(parts)


def unpack(data: bytes, count: int) -> Series:
    """Return the series of ``count`` points that bytes hold.

    Raises:
        DamagedError: if they do not hold that.
    """
    layout = int.from_bytes(data[:_HEAD], "little")
    ahead = {_EVEN: 2, _LISTED: count}.get(layout)
    if ahead is None or len(data) != _HEAD + 8 * (ahead + 2 * count):
        raise DamagedError(f"A chunk of {count:,} points has {len(data):,} bytes it cannot have.")
    kept = np.frombuffer(data, "<i8", ahead, _HEAD)
    if layout == _EVEN:
        places = np.arange(count, dtype="<u8")
        unsigned = kept.view("<u8")
        kept = (unsigned[0] + unsigned[1] * places).view("<i8")
    start = _HEAD + 8 * ahead
    times = np.frombuffer(data, "<f8", count, start)
    return Series(kept, times, np.frombuffer(data, "<f8", count, start + 8 * count))
