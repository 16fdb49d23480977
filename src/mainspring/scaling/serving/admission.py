"""Let in as much work as can be answered in time, and refuse the rest at once."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from mainspring.ground.errors import OverloadedError


class Admission:
    """Slots for work that runs in threads, and a short queue in front of them.

    A request is refused at once when the queue is full or when, by the time recent requests
    took, its turn would come later than ``deadline_s``: an answer nobody waits for any more is
    not worth computing. All methods belong to one event loop.
    """

    def __init__(self, slots: int = 2, queue: int = 256, deadline_s: float = 1.0) -> None:
        self.running = 0
        self.refused = 0
        self._slots, self._queue, self._deadline_s = slots, queue, deadline_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._took_s = 0.0  # moving mean of the time one request holds a slot

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for the time of the block.

        Raises:
            OverloadedError: if there is none, and none can be expected in time.
        """
        if self.running >= self._slots:
            await self._wait()
        else:
            self.running += 1
        start = perf_counter()
        try:
            yield
        finally:
            took = perf_counter() - start
            self._took_s = took if not self._took_s else 0.9 * self._took_s + 0.1 * took
            self._pass_on()

    async def _wait(self) -> None:
        expected = (len(self._waiting) + 1) * self._took_s / self._slots
        if len(self._waiting) >= self._queue or expected > self._deadline_s:
            raise self._refusal(expected)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._deadline_s):
                await turn
        except TimeoutError as error:
            raise self._refusal(expected) from error
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the slot was ours already
            raise
        finally:
            if not turn.done() or turn.cancelled():
                self._waiting = deque(other for other in self._waiting if other is not turn)

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the slot changes hands; ``running`` stays
                return
        self.running -= 1

    def _refusal(self, expected_s: float) -> OverloadedError:
        self.refused += 1
        return OverloadedError(
            "The endpoint has more work than it can answer in time.",
            retry_after_s=max(1, math.ceil(expected_s)),
            hint="Try again later, or send fewer rows at once.",
        )
