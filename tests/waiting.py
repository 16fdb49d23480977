"""Wait for what another thread or process brings about, and know when one has ended.

Whatever happens beside a test is asked for until it is so, never once and never after a sleep:
how long it takes is the machine's business. The limits are there for what never comes, and cost
nothing where it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from mainspring.ground.held import Held

T = TypeVar("T")

WITHIN_S = 120.0
_EVERY_S = 0.02


def until(true: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """Return the first true answer. It is asked for once more when the time is over."""
    end = time.monotonic() + within_s
    while True:
        late = time.monotonic() > end
        if found := true():
            return found
        if late:
            raise AssertionError(f"not within {within_s:g} s: {_told(true)}")
        time.sleep(_EVERY_S)


def until_holds(check: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """Call a function until nothing that it asserts is wrong, and return what it returns."""
    end = time.monotonic() + within_s
    while True:
        late = time.monotonic() > end
        try:
            return check()
        except AssertionError:
            if late:
                raise
        time.sleep(_EVERY_S)


async def comes(true: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """Return the first true answer, letting the other tasks of this loop go on."""
    end = time.monotonic() + within_s
    while True:
        late = time.monotonic() > end
        if found := true():
            return found
        if late:
            raise AssertionError(f"not within {within_s:g} s: {_told(true)}")
        await asyncio.sleep(0.002)


def alive(pid: int | None) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Yield a port of loopback that nobody else is given; whoever names it may listen on it."""
    with Held("127.0.0.1") as held:
        yield held.port


def files_below(folder: Path) -> Iterator[Path]:
    """Yield what lies below a folder in which others work: what is gone meanwhile is left out."""
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for one in found:
        yield one
        if one.is_dir() and not one.is_symlink():
            yield from files_below(one)


def _told(true: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(true).split())[:300]
    except (OSError, TypeError):
        return repr(true)
