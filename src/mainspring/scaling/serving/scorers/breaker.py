"""A circuit breaker: after several failures refuse at once, then let one try, then go on."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from mainspring.ground.errors import OverloadedError

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Counts failures and says whether a call may go through. Times are monotonic seconds.

    * **closed:** all calls pass. ``failures`` of them within ``window_s`` open it.
    * **open:** no call passes for ``open_s``; twice as long each time it opens again, up to
      ``longest_s``, until it has been closed for ``longest_s``.
    * **half-open:** one call passes at a time; if it succeeds the breaker closes.

    It has no lock: its owner calls it under its own.

    Source: M. Nygard, Release It!, 2007, chapter 5.2.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        window_s: float = 30.0,
        open_s: float = 5.0,
        longest_s: float = 60.0,
    ) -> None:
        self.opened = 0  #: times
        self._most, self._window_s = failures, window_s
        self._first_s, self._longest_s = open_s, longest_s
        self._open_s = open_s
        self._failed: deque[float] = deque()
        self._until: float | None = None  # open until then, None while closed
        self._closed_at = -math.inf
        self._trying = False

    def state(self, now: float) -> State:
        """Return how it stands."""
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half-open"

    def wait_s(self, now: float) -> float:
        """Return in how many seconds a call may pass at the earliest."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def enter(self, now: float, why: str) -> bool:
        """Let a call through; return whether it is the one that tries for all.

        Raises:
            OverloadedError: if it may not pass; ``why`` is what the caller is told.
        """
        if self._until is None:
            return False
        if now < self._until or self._trying:
            raise OverloadedError(
                f"The model failed {self._most} times in a row and is given a rest: {why}",
                retry_after_s=max(1, math.ceil(self.wait_s(now))),
                hint="Try again later. /status of the endpoint says what happened.",
            )
        self._trying = True
        return True

    def left(self) -> None:
        """Note that the call that tried ended without saying anything of the model."""
        self._trying = False

    def succeeded(self, now: float) -> None:
        """Note a call that went well."""
        if self._until is not None and now >= self._until:
            self._until = None
            self._closed_at = now
            self._failed.clear()
        self._trying = False

    def failed(self, now: float) -> bool:
        """Note a failure; return whether it opened the breaker."""
        tried, self._trying = self._trying, False
        if self._until is not None:
            if now < self._until and not tried:
                return False  # of a call that began before it opened
            return self._open(now)
        self._failed.append(now)
        while self._failed and self._failed[0] < now - self._window_s:
            self._failed.popleft()
        if len(self._failed) < self._most:
            return False
        if now - self._closed_at > self._longest_s:
            self._open_s = self._first_s
        return self._open(now)

    def _open(self, now: float) -> bool:
        self._until = now + self._open_s
        self._open_s = min(2 * self._open_s, self._longest_s)
        self._failed.clear()
        self.opened += 1
        return True
