"""Ask a server that may be away for a while: started again, or behind a link that broke."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mainspring.cli.remote import Local, Remote
from mainspring.ground.errors import OverloadedError, UnavailableError

AWAY_S = 600.0  #: a server that is away for longer is given up
_FIRST_S, _MOST_S = 0.3, 3.0  #: between two tries


class Patient:
    """Asks a home or a server; a server that does not answer is asked again.

    ``say`` is told when it went away and when it is back, ``meanwhile`` is called before each
    further try.
    """

    def __init__(
        self,
        house: Local | Remote,
        say: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
        *,
        away_s: float = AWAY_S,
    ) -> None:
        self.house = house
        self._say = say
        self._meanwhile = meanwhile
        self._away_s = away_s

    def call(self, name: str, /, **fields: Any) -> Any:
        """Carry out an operation that may be asked for twice, and return its answer.

        Raises:
            UnavailableError, OverloadedError: if a server was away for too long.
            MainspringError: as the operation does.
        """
        if isinstance(self.house, Local):
            return self.house.call(name, **fields)
        since: float | None = None
        pause = _FIRST_S
        while True:
            try:
                found = self.house.call(name, **fields)
            except (UnavailableError, OverloadedError) as error:
                if since is None:
                    since = time.monotonic()
                    self._say(f"{error.message} It is asked again; Ctrl-C twice leaves.")
                if time.monotonic() - since > self._away_s:
                    raise
                self._meanwhile()
                time.sleep(pause)
                pause = min(pause * 1.5, _MOST_S)
            else:
                if since is not None:
                    self._say("the server answers again")
                return found
