"""Which runs of bytes of each object some files need: told by millions, held as few.

Runs that touch or overlap are one. A pack that lives as a whole is thus one run, whatever the
number of files in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mainspring.pipelines.data.manifest import Part

_BITS = 40  # of an offset: a terabyte; above them the number of the object
_TOGETHER = 100_000  # runs that are taken before they are made few


class Runs:
    """The runs of each object that were taken, as few as can be.

    >>> runs = Runs()
    >>> runs.take([Part("a", 0, 5), Part("a", 5, 5), Part("b", 7, 1), Part("a", 20, 1)])
    >>> dict(runs.runs())
    {'a': [(0, 10), (20, 1)], 'b': [(7, 1)]}
    """

    def __init__(self) -> None:
        self._objects: dict[str, int] = {}  # and the number of each
        self._few: NDArray[np.int64] = np.empty(
            (2, 0), np.int64
        )  # begin and end of each, in order
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, parts: Sequence[Part]) -> None:
        """Take some runs."""
        objects = self._objects
        for part in parts:
            start = (objects.setdefault(part.object, len(objects)) << _BITS) + part.offset
            self._starts.append(start)
            self._ends.append(start + part.length)
        if len(self._starts) >= _TOGETHER:
            self._make_few()

    def runs(self) -> Iterator[tuple[str, list[tuple[int, int]]]]:
        """Go through the objects, each with its runs in their order: begin and length."""
        self._make_few()
        starts, ends = self._few
        numbers = starts >> _BITS
        bounds = np.searchsorted(numbers, np.arange(len(self._objects) + 1))
        for name, number in self._objects.items():
            low, high = bounds[number], bounds[number + 1]
            begins = starts[low:high] - (number << _BITS)
            yield name, list(zip(begins.tolist(), (ends - starts)[low:high].tolist(), strict=True))

    def _make_few(self) -> None:
        starts = np.concatenate([self._few[0], np.array(self._starts, np.int64)])
        ends = np.concatenate([self._few[1], np.array(self._ends, np.int64)])
        self._starts, self._ends = [], []
        if not len(starts):
            return
        order = np.argsort(starts, kind="stable")
        starts, furthest = starts[order], np.maximum.accumulate(ends[order])
        # One begins where nothing before reaches; an object's last byte never touches the next's.
        first = np.concatenate([[True], starts[1:] > furthest[:-1]])
        last = np.concatenate([first[1:], [True]])
        self._few = np.stack([starts[first], furthest[last]])
