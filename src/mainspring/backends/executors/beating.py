"""Notice that a call gives no sign of life any more: the file it touches stays as it was."""

from __future__ import annotations

import os


class Beat:
    """When a call was last seen to get on. Times are of the monotonic clock, in seconds."""

    def __init__(self, file: str, within_s: float, now: float) -> None:
        self._file, self.within_s = file, within_s
        self._seen = 0
        self._at = now

    def begin(self, now: float) -> None:
        """Note that the call has begun: what came before is no fault of its own."""
        self._at = now

    def is_late(self, now: float) -> bool:
        """Return whether it gave no sign for too long."""
        try:
            seen = os.stat(self._file).st_mtime_ns  # noqa: PTH116  asked very often
        except FileNotFoundError:
            seen = 0
        if seen != self._seen:
            self._seen, self._at = seen, now
        return now - self._at >= self.within_s

    def patience_s(self, now: float) -> float:
        """Return how long to wait before looking again: a sign may come at any time."""
        return min(self.within_s / 4, max(0.0, self._at + self.within_s - now))
