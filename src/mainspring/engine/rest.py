"""Know that there was nothing to do, so that an engine at rest asks the store next to nothing."""

from __future__ import annotations

import time

#: What only the clock brings (a schedule, a lease that ran out) is looked for this often.
REST_S = 1.0


class Rest:
    """Holds while the store has not moved since there was nothing to do, for a second at most."""

    def __init__(self) -> None:
        self._changed: int | None = None
        self._began = 0.0
        self._at = 0.0

    def begin(self, changed: int, at: float) -> None:
        """Note that there was nothing to do.

        ``changed`` is the store's count of changes from *before* it was asked, ``at`` the time by
        the clock that can be turned.
        """
        self._changed, self._began, self._at = changed, time.monotonic(), at

    def over(self) -> None:
        """Note that there is something to do."""
        self._changed = None

    def holds(self, changed: int, at: float) -> bool:
        """Return whether there is still nothing to do."""
        return (
            changed == self._changed
            and time.monotonic() - self._began < REST_S
            and abs(at - self._at) < REST_S
        )
