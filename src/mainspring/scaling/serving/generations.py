"""Follow the routing: load versions in a thread, and swap them in whole once they are ready."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Routing
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.router import Generation, Variant

_log = logging.getLogger(__name__)

POLL_S = 0.1
RETRY_S = 1.0  # a version that cannot be loaded is tried again this often


class Generations:
    """Holds the generation that is served now.

    ``current`` is replaced by one assignment, so a request sees the old one or the new one,
    never a mixture; the old one lives on until its last request ends. While a version cannot be
    loaded the one before it goes on serving, and ``trouble`` says why.

    Where many share a process, models may be let go of: ``asleep`` says that the next
    :meth:`look` loads what should be served.
    """

    def __init__(
        self,
        routing: Callable[[], Routing],
        loader: Callable[[str], Scorer],
        changed: Callable[[], int] | None = None,
    ) -> None:
        nothing = Routing(endpoint="", model="", champion=None, champion_package=None)
        self.current = Generation(0, nothing, None, None)
        self.trouble = ""
        self.asleep = False
        self._looking = threading.Lock()
        self._routing, self._loader, self._changed = routing, loader, changed
        self._seen: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load what is to be served now, then follow it from a thread."""
        with self._looking:  # what only rows with missing values need is loaded after that
            self._looked()
        self._thread = threading.Thread(target=self._follow, name="routing", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _follow(self) -> None:
        self._warm()
        wait = POLL_S
        while not self._stop.wait(wait):
            wait = POLL_S if self.look() else RETRY_S

    def look(self) -> bool:
        """Bring ``current`` up to date; False if something could not be loaded."""
        with self._looking:
            before = self.current.serial  # not the generation: it may leave while this one warms
            well = self._looked()
        if self.current.serial != before:
            self._warm()
        return well

    def _warm(self) -> None:
        """Load now what would otherwise be loaded by a request."""
        for variant in self.current.loaded:
            try:
                variant.served.warm()
            except Exception as error:  # noqa: BLE001  a request will say so again
                _log.warning("version %s: %r", variant.number, error)

    def let_go(self, routing: Routing) -> None:
        """Hold no version until the next :meth:`look`; ``routing`` is what would be served.

        Requests under way end on the generation they began with.
        """
        with self._looking:
            self.asleep, self.trouble = True, ""
            self.current = Generation(self.current.serial + 1, routing, None, None)

    def _looked(self) -> bool:
        try:
            if self._changed is not None:
                now = self._changed()
                if now == self._seen and not self.trouble:
                    return True
                self._seen = now
            self._swap(self._routing())
        # Following must outlive every failure of store, objects and loading: what is served
        # goes on being served, and the next look tries again.
        except Exception as error:  # noqa: BLE001
            told = str(error) if isinstance(error, MainspringError) else repr(error)
            if told != self.trouble:
                _log.warning("routing: %s", told)
            self.trouble = told
            return False
        return not self.trouble

    def _swap(self, routing: Routing) -> None:
        before = self.current
        if routing == before.routing and not self.trouble and not self.asleep:
            return
        champion = self._variant(routing.champion, routing.champion_package)
        troubles: list[str] = []
        challenger = self._tried(routing.challenger, routing.challenger_package, troubles)
        own = (routing.champion, routing.champion_package)
        arms = tuple(
            champion
            if (one.version, one.package) == own
            else self._tried(one.version, one.package, troubles)
            for one in routing.arms
        )
        # At once, or a look that tries again would be seen without the trouble it still has.
        self.trouble, self.asleep = "; ".join(troubles), False
        after = Generation(before.serial + 1, routing, champion, challenger, arms)
        if (routing, champion, challenger, arms) != (
            before.routing,
            before.champion,
            before.challenger,
            before.arms,
        ):
            self.current = after
            _log.info(
                "serving %s/%s, challenger %s",
                *(routing.model, routing.champion, routing.challenger),
                extra={"version": routing.champion},
            )

    def _tried(
        self, number: int | None, package: str | None, troubles: list[str]
    ) -> Variant | None:
        """Return a challenger; None if it cannot be loaded, which stops no champion."""
        try:
            return self._variant(number, package)
        except Exception as error:  # noqa: BLE001  whatever its package holds
            troubles.append(f"challenger {number}: {error}")
            _log.warning("%s", troubles[-1])
            return None

    def _variant(self, number: int | None, package: str | None) -> Variant | None:
        if number is None or package is None:
            return None
        for known in self.current.loaded:
            if known.number == number and known.served.digest == package:
                return known
        return Variant(number, self._loader(package))
