"""Bound how long the body of a pipeline, or of a dynamic function, may wire its steps.

A body that waits for something, or loops without end, would keep whoever plans a run for ever.
An alarm of the system interrupts it where it is, so that the error can name the line.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mainspring.ground.errors import WiringTimeoutError
from mainspring.pipelines import project

#: A body that catches everything is interrupted again after so long.
AGAIN_S = 0.2


class TooLong(BaseException):
    """A body took too long; ``place`` says where it was."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


@contextmanager
def bounded(seconds: float | None, what: str) -> Iterator[None]:
    """Interrupt the block after so many seconds; None lets it take as long as it takes.

    Alarms come to a process's main thread alone: in another one nothing is bounded. A body that
    never comes back to Python is left to whoever waits for the process.

    Raises:
        WiringTimeoutError: naming the line of the user's that it was at.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    began = time.monotonic()
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        yield
    except TooLong as long:
        raise WiringTimeoutError(
            f"{what} took longer than {seconds:g} s to wire its steps{long.place}.",
            field="pipeline",
            hint="A body only says which steps there are: let a step do what takes long, or set"
            " wire_timeout_s.",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm goes on
            signal.setitimer(
                signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001), again
            )


def _ring(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise TooLong(_place_of(frame))


def _place_of(frame: FrameType | None) -> str:
    """Return in words the innermost line of the user's; nothing if none is being run."""
    while frame is not None and not project.is_users(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    file, line = frame.f_code.co_filename, frame.f_lineno
    told = f": it was at line {line} of {Path(file).name}, in {frame.f_code.co_name}"
    written = getline(file, line).strip()
    return f"{told} ({written:.80})" if written else told
