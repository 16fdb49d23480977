"""Read an object once and compare its bytes with its digest, before a result is reused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from mainspring.ground.errors import DamagedError, NotFoundError
from mainspring.ground.ports import Objects

#: Read whole where it is asked, in a transaction too: that takes less than asking for it later.
SMALL = 65_536
_MOST = 200_000  # digests remembered
_log = logging.getLogger("mainspring.steps")


class Verified:
    """Which objects this process has read and found to be what their digests say."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._whole: set[str] = set()
        self._lock = threading.Lock()

    def known(self, digests: Iterable[str]) -> bool:
        """Return whether all of these were read already, or are small and found whole now."""
        return all(one in self._whole or self._small(one) for one in digests)

    def damaged(self, digests: Iterable[str]) -> list[str]:
        """Read those that were not read yet; return those whose bytes are not theirs any more.

        What is damaged is taken away, or putting the right bytes again would find it there and
        keep it. It is read twice before that, for the fault may have been the reading's.
        """
        found = [one for one in digests if one not in self._whole and not self._is_whole(one)]
        for digest in found:
            _log.error("object %s is damaged and was taken away", digest)
            self._objects.delete(digest, float("inf"))
        return found

    def _small(self, digest: str) -> bool:
        try:
            return self._objects.size(digest) <= SMALL and self._read(digest)
        except NotFoundError:
            return False

    def _is_whole(self, digest: str) -> bool:
        return self._read(digest) or self._read(digest)

    def _read(self, digest: str) -> bool:
        try:
            self._objects.fetch(digest, None)
        except DamagedError:
            return False
        except NotFoundError:
            return True  # gone, not damaged: whoever asks whether it is there is told so
        with self._lock:
            if len(self._whole) >= _MOST:
                self._whole.clear()
            self._whole.add(digest)
        return True
