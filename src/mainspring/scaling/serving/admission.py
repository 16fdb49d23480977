"""Say no at once to what cannot be answered in time, and to who asks too much at a time."""

from __future__ import annotations

import asyncio
import math

from mainspring.ground.errors import OverloadedError, TooManyRequestsError


def refusal(expected_s: float, why: str = "") -> OverloadedError:
    """Return what a request is told whose turn would come in so many seconds."""
    return OverloadedError(
        why or "The endpoint has more work than it can answer in time.",
        retry_after_s=max(1, math.ceil(min(expected_s, 600.0))),
        hint="Try again later, or send fewer rows at once.",
    )


class Clients:
    """How many requests of each caller are under way. All methods belong to one event loop."""

    def __init__(self) -> None:
        self.refused = 0
        self._under_way: dict[str, int] = {}

    def enter(self, caller: str, most: int) -> None:
        """Count a request of a caller.

        Raises:
            TooManyRequestsError: if ``most`` of its requests are under way already.
        """
        now = self._under_way.get(caller, 0)
        if now >= most:
            self.refused += 1
            raise TooManyRequestsError(
                f"You have {now} requests under way; {most} are taken of one caller at a time.",
                hint="Wait for an answer before you ask again, or send more rows in one request.",
            )
        self._under_way[caller] = now + 1

    def leave(self, caller: str) -> None:
        """Note that a request that was let in has ended."""
        left = self._under_way.get(caller, 1) - 1
        if left > 0:
            self._under_way[caller] = left
        else:
            self._under_way.pop(caller, None)


class Lag:
    """How late the event loop comes to its timers: the queue of all that is scored in it.

    Looked at while there are requests. The less of the last two looks counts: one hiccup is over
    by the time it is noticed.
    """

    LOOK_S = 0.05

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = 0.0
        self._loop = loop
        self._due = self._before = 0.0
        self._looking = self._asked = False

    def feel(self) -> float:
        """Return how many seconds a request waits for the event loop now."""
        self._asked = True
        if not self._looking:
            self._looking = True
            self._again()
        return self.seconds

    def _again(self) -> None:
        self._asked = False
        self._due = self._loop.time() + self.LOOK_S
        self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        late = max(0.0, self._loop.time() - self._due)
        self.seconds, self._before = min(late, self._before), late
        if self._asked or self.seconds > self.LOOK_S:
            self._again()
        else:
            self._looking, self.seconds = False, 0.0
