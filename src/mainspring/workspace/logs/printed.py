"""Take what a call in a process of its own prints into the logs, while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mainspring.ground.clock import SystemClock
from mainspring.ground.logfiles import LogFile
from mainspring.ground.logs import line_of
from mainspring.ground.settings import Settings
from mainspring.ground.tails import Tail

PROCESS = "steps"  #: the name of all such processes in the logs
EVERY_S = 0.5
MOST_BYTES = 2_000_000  #: of one call; all of it is in the log that its run keeps


@contextmanager
def taken(
    settings: Settings, file: Path, cancelled: Callable[[], bool] | None, **ids: Any
) -> Iterator[Callable[[], bool]]:
    """Take a file's lines into the logs; yield what to ask instead of ``cancelled``.

    An executor asks it several times a second, so no thread is needed.
    """
    home = Path(settings.home)
    lines = LogFile(
        home / "logs", PROCESS, days=settings.log_days, most_bytes=settings.log_mb * 1_000_000
    )
    clock = SystemClock()

    def take(level: str, text: str, trace: str) -> None:
        fields = {"stream": "output", **ids, "trace": trace or None}
        lines.append(line_of(clock.now(), level, PROCESS, os.getpid(), text, fields))

    tail = Tail(file, take, most_bytes=MOST_BYTES)
    looked = time.monotonic()

    def asked() -> bool:
        nonlocal looked
        if time.monotonic() - looked >= EVERY_S:
            looked = time.monotonic()
            tail.drain()
        return cancelled is not None and cancelled()

    try:
        yield asked
    finally:
        tail.drain(final=True)
        lines.close()
