"""What scoring a batch costs, learnt from those that were scored."""

from __future__ import annotations

import math

_KEPT = 0.95  # of what is known, at each batch: the last twenty count
_WORST_KEPT = 0.98  # the worst is forgotten by half in 35 batches
HICCUP_S = 0.05  # nobody in the event loop should wait for so long


class Cost:
    """Seconds of a batch as ``call_s + rows * row_s``, fitted to the last batches.

    The fit is least squares with weights that fade, by its sums alone. Batches of one size cannot
    tell the two apart: their seconds are taken for a call's, and :attr:`most_rows` says how far
    that holds.

    Example:
        >>> cost = Cost()
        >>> for rows in (1, 10, 1, 10):
        ...     cost.add(rows, 0.004 + rows * 0.001)
        >>> round(cost.seconds(100), 3)
        0.104
    """

    def __init__(self) -> None:
        self.batches = 0
        self.most_rows = 0  #: scored at once so far
        self.worst_s = 0.0  #: of the last batches
        self.hiccups = 0.0  #: share of the last batches that took :data:`HICCUP_S` or longer
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def add(self, rows: int, seconds: float) -> None:
        """Note that so many rows took so long."""
        self.batches += 1
        self.most_rows = max(self.most_rows, rows)
        self.worst_s = max(seconds, self.worst_s * _WORST_KEPT)
        self.hiccups = _KEPT * self.hiccups + (1.0 - _KEPT) * (seconds >= HICCUP_S)
        self._n = _KEPT * self._n + 1.0
        self._x = _KEPT * self._x + rows
        self._y = _KEPT * self._y + seconds
        self._xx = _KEPT * self._xx + rows * rows
        self._xy = _KEPT * self._xy + rows * seconds

    @property
    def row_s(self) -> float:
        """Return the seconds of one more row."""
        spread = self._n * self._xx - self._x * self._x
        # Below a tenth of a row the sizes are alike, and their slope is noise.
        if not self._n or spread <= 0.01 * self._n * self._n:
            return 0.0
        slope = (self._n * self._xy - self._x * self._y) / spread
        return min(max(slope, 0.0), self._y / max(self._x, 1.0))

    @property
    def call_s(self) -> float:
        """Return the seconds of a batch beside its rows."""
        return max(0.0, (self._y - self.row_s * self._x) / self._n) if self._n else 0.0

    def seconds(self, rows: int) -> float:
        """Return how long so many rows will take; 0 before anything was scored."""
        return self.call_s + rows * self.row_s

    def rows_within(self, seconds: float) -> int:
        """Return how many rows can be scored within a time, as far as is known.

        At most twice as many as were ever scored at once: beyond, nothing is known.
        """
        known = max(1, 2 * self.most_rows)
        room = seconds - self.call_s
        if self.row_s <= 0.0:
            return known if room > 0.0 else 1
        return max(1, min(known, math.floor(room / self.row_s)))
