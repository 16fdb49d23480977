"""Watch over one run: take down its facts beside it, and its load every ten seconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mainspring.experiments.capture import facts
from mainspring.experiments.capture.facts import NOT_CAPTURED
from mainspring.experiments.capture.machine import Load, gpu_load

EVERY_S = 10.0  #: between two readings of the load
FIRST_S = 1.0  #: after a run's start; a shorter one has its start and its end
WAIT_S = 15.0  #: a run's end waits that long for its facts, which git may hold up

AGAIN = "MAINSPRING_AGAIN"  #: in the environment: the run that is being made again

_numbers = threading.Lock()
_begun = 0


class Keeper(Protocol):
    """What keeps the facts of a run; called from another thread than the run's own."""

    def tag(self, values: Mapping[str, str], /) -> None:
        """Set tags."""
        ...

    def log(self, values: Mapping[str, float], /) -> None:
        """Log metrics."""
        ...

    def keep(self, data: bytes, to: str, /) -> None:
        """Keep bytes under a path of the run's artifacts."""
        ...


class Watch:
    """Beside one run from its start to its end. Never raises; costs its run's thread little.

    Runs that start within seconds of each other in one process share what was read of git,
    packages and machine.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        params: Mapping[str, Any],
        folder: Path | None = None,
        apart: Sequence[Path] = (),
    ) -> None:
        global _begun
        with _numbers:
            self._nth, _begun = _begun, _begun + 1
        self._keeper = keeper
        self._params = dict(params)
        self._folder = folder or Path.cwd()
        self._apart = tuple(apart)
        self._pid = os.getpid()
        self._began = time.monotonic()
        self._done = threading.Event()  # the facts are kept
        self._reading = threading.Lock()
        self._over = False
        self._load: Load | None = None

    def start(self) -> None:
        """Begin; at once where the facts are known, else in a thread."""
        known = facts.fresh(self._folder, self._apart)
        if known is None:
            # Daemon: a process that ends without ending its run is not held up.
            threading.Thread(target=self._gather, name="mainspring-capture", daemon=True).start()
        else:
            self._keep(lambda: known)

    def finish(self) -> None:
        """Wait for the facts, take the last reading. A forked child has nothing to finish."""
        if os.getpid() != self._pid or self._over:
            return
        if not self._done.wait(WAIT_S):
            self._guarded("facts", lambda: self._say(f"not read within {WAIT_S:g} s"))
        _BEATS.leave(self)
        # Children are looked for among all processes, which takes milliseconds.
        long = time.monotonic() - self._began > FIRST_S
        self.read(with_children=long)
        with self._reading:
            self._over = True

    def read(self, *, with_children: bool = True, gpus: bool = False) -> None:
        """Log how busy process and machine are, and the graphics cards if asked for."""

        def act() -> None:
            found = {} if self._load is None else self._load.read(with_children=with_children)
            found |= gpu_load() if gpus else {}
            if found:
                self._keeper.log(found)

        with self._reading:
            if not self._over:
                self._guarded("load", act)

    def _gather(self) -> None:
        self._keep(lambda: facts.gather(self._folder, self._apart))

    def _keep(self, get: Callable[[], facts.Facts]) -> None:
        def act() -> None:
            found = get()
            self._load = Load()
            again = os.environ.get(AGAIN)
            more = {"mainspring.again": again} if again else {}
            self._keeper.tag({**found.tags(self._params, self._nth), **more})
            for path, data in found.files().items():
                self._keeper.keep(data, path)

        self._guarded("facts", act)
        self.read(with_children=False)
        self._done.set()
        _BEATS.join(self)

    def _guarded(self, part: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  whatever it is, the user's work goes on
            self._trouble(f"{part}: {type(error).__name__}: {error}")

    def _say(self, why: str) -> None:
        self._keeper.tag({NOT_CAPTURED: f"facts: {why}"})

    def _trouble(self, why: str) -> None:
        """Say in the run what went wrong, if the run can still be told."""
        try:
            self._keeper.tag({NOT_CAPTURED: why[:500]})
        except Exception:  # noqa: BLE001  the keeper itself fails, and its own calls say so
            self._over = True


class _Beats:
    """One thread a process that takes a reading for every run under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Watch, float] = {}
        self._thread: threading.Thread | None = None
        self._until = 0.0  # the thread sleeps that long

    def join(self, watch: Watch) -> None:
        """Read for this run, in a second, then every ten."""
        with self._changed:
            due = self._due[watch] = time.monotonic() + FIRST_S
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._beat, name="mainspring-load", daemon=True
                )
                self._thread.start()
            elif due < self._until:
                self._changed.notify()

    def leave(self, watch: Watch) -> None:
        """Read no more for this run."""
        with self._changed:
            self._due.pop(watch, None)

    def _beat(self) -> None:
        while True:
            for watch in self._ready():
                watch.read(gpus=True)

    def _ready(self) -> list[Watch]:
        """Sleep until somebody's time has come; return them."""
        with self._changed:
            now = time.monotonic()
            ready = [watch for watch, due in self._due.items() if due <= now]
            for watch in ready:
                self._due[watch] = now + EVERY_S
            if not ready:
                self._until = min(self._due.values(), default=now + EVERY_S)
                self._changed.wait(self._until - now)
            return ready


_BEATS = _Beats()


def _after_fork() -> None:
    """Begin anew in a forked child: threads do not follow there, and locks may be held."""
    global _BEATS, _numbers
    _BEATS, _numbers = _Beats(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
