"""The models in memory of one process: each package loaded once, whoever asks for it."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from mainspring.ground.objects import EndpointLimits
from mainspring.scaling.models.apart.spawned import resident_bytes
from mainspring.scaling.models.scorer import Accounted, Scorer
from mainspring.scaling.serving.metrics import Latency

if TYPE_CHECKING:
    from collections.abc import Iterator

Limits = Callable[[], EndpointLimits]
_Key = tuple[object, ...]

#: What a model is taken to hold is at most so many times its files, and this: the process grows
#: for other reasons too while it loads.
_MOST_TIMES, _MOST_MORE = 8, 16 << 20


class Library:
    """Loads packages, and knows those that somebody still holds.

    It holds none itself: a model goes when the last generation that serves it, and the last
    request under way, let go of it. Scorers with processes of their own are shared only by
    endpoints with the same limits.
    """

    def __init__(self, load: Callable[[str, Limits], Scorer]) -> None:
        self.loads = 0
        self.hits = 0
        self.latency = Latency()  #: of loading
        self._load = load
        self._known: WeakValueDictionary[_Key, Scorer] = WeakValueDictionary()
        self._bytes: WeakKeyDictionary[Scorer, int] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._loading: dict[str, tuple[threading.Lock, int]] = {}

    def get(self, digest: str, limits: Limits) -> Scorer:
        """Return a package ready to score; whoever asks meanwhile waits for the same load.

        Raises:
            MainspringError: if it cannot be loaded.
        """
        with self._alone(digest):
            found = self._find(digest, limits())
            if found is not None:
                self.hits += 1
                return found
            start, before = perf_counter(), resident_bytes()
            made = self._load(digest, limits)
            grown = resident_bytes() - before
            held = made.held_bytes
            with self._lock:
                self.loads += 1
                self.latency.add(perf_counter() - start)
                self._bytes[made] = min(max(grown, held), _MOST_TIMES * held + _MOST_MORE)
                self._known[_key(made, digest, limits())] = made
            return made

    def bytes_of(self, scorer: Scorer) -> int:
        """Return about how much memory a model holds, its processes' included."""
        if isinstance(scorer, Accounted):
            return scorer.held_bytes
        return self._bytes.get(scorer, scorer.held_bytes)

    def _find(self, digest: str, limits: EndpointLimits) -> Scorer | None:
        with self._lock:
            return self._known.get((digest,)) or self._known.get(_isolated(digest, limits))

    @contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._loading.get(digest, (threading.Lock(), 0))
            self._loading[digest] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._loading[digest]
                if users == 1:
                    del self._loading[digest]
                else:
                    self._loading[digest] = lock, users - 1


def give_back() -> None:
    """Give memory that was freed back to the machine, where the C library can."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _key(scorer: Scorer, digest: str, limits: EndpointLimits) -> _Key:
    return _isolated(digest, limits) if isinstance(scorer, Accounted) else (digest,)


def _isolated(digest: str, limits: EndpointLimits) -> _Key:
    return digest, limits.timeout_ms, limits.memory_mb
