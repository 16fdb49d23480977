"""Feel how busy a worker process is, in its own event loop and for next to nothing.

Ten times a second the requests under way are counted, twice a second a :class:`Beat` is told to
who asked for it, and less often while nothing happens. A beat holds what happened since the one
before, so that those of several workers are simply added.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SAMPLE_S = 0.1
SAMPLES = 5  #: of a beat
QUIET_S = 5.0  #: a worker that nobody asks tells no more often


class Pulse:
    """Tells about one server.

    Args:
        state: uvicorn's, which knows the connections and the requests under way.
        latencies: counts of answered predictions by how long they took, ever growing.
        tell: gets a beat: ``flying`` (mean number of requests under way), ``open`` (connections),
            ``took`` (the latencies since the last beat), ``cpu`` (share of one core), ``lag_ms``
            (how late the event loop came to its timers, the worst).
    """

    def __init__(
        self,
        state: Any,
        latencies: Callable[[], Sequence[int]],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._state, self._latencies, self._tell = state, latencies, tell
        self._before = list(latencies())
        self._flying: list[int] = []
        self._lag = 0.0
        self._cpu, self._beaten = time.process_time(), time.monotonic()
        self._quiet = False
        self._due = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """Feel the pulse from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._wait()

    def _wait(self) -> None:
        assert self._loop is not None  # noqa: S101  set by begin
        self._due = self._loop.time() + SAMPLE_S
        # A timer of the loop itself: a task would wait behind the requests it is to count.
        self._loop.call_at(self._due, self._sample)

    def _sample(self) -> None:
        assert self._loop is not None  # noqa: S101  set by begin
        self._lag = max(self._lag, self._loop.time() - self._due)
        self._flying.append(len(self._state.tasks))
        if len(self._flying) >= SAMPLES:
            self._beat()
        self._wait()

    def _beat(self) -> None:
        now, cpu, latencies = time.monotonic(), time.process_time(), list(self._latencies())
        took = [new - old for new, old in zip(latencies, self._before, strict=True)]
        flying = sum(self._flying) / len(self._flying)
        quiet = not flying and not any(took)
        if not quiet or not self._quiet or now - self._beaten >= QUIET_S:
            self._tell(
                {
                    "flying": round(flying, 2),
                    "open": len(self._state.connections),
                    "took": took,
                    "cpu": round((cpu - self._cpu) / max(now - self._beaten, 1e-9), 3),
                    "lag_ms": round(1000 * self._lag, 1),
                }
            )
            self._cpu, self._beaten, self._before = cpu, now, latencies
            self._lag = 0.0
        self._quiet = quiet
        self._flying.clear()


def resident_mb() -> float | None:
    """Return the memory of this process that is in RAM, in MB; None where nobody knows."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
