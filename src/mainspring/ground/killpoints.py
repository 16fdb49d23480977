"""Die on purpose at a named point, so that tests can show that dying anywhere loses nothing.

Free when ``MAINSPRING_KILL_AT`` is unset. ``MAINSPRING_KILL_AT=7`` kills this process with
SIGKILL at the seventh point it passes; ``MAINSPRING_KILL_AT=finish.committed:2`` when it
passes that point for the second time.
"""

from __future__ import annotations

import os
import signal
import threading

ENVIRONMENT = "MAINSPRING_KILL_AT"


class KillSwitch:
    """Counts the points that are passed and pulls the trigger at the chosen one."""

    def __init__(self, wanted: str | None) -> None:
        name, _, count = (wanted or "").rpartition(":")
        self._name = name
        self._left = int(count) if count else 0
        self._lock = threading.Lock()

    def here(self, name: str) -> None:
        """Pass the point ``name``; the process may end here."""
        if not self._left or (self._name and self._name != name):
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


#: Pass a named point; the process may end here.
here = KillSwitch(os.environ.get(ENVIRONMENT)).here
