"""Homes in which windows are kept by hand and an engine of the test's own thread works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Finding, Window
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.rules import AlarmRule, AlarmState
from mainspring.monitoring import alarms, paging, states, windows
from mainspring.scaling.serving import endpoints
from mainspring.workspace.alarming import verbs
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace

T = TypeVar("T")
NOW = 1_800_000_000.0
HOUR = 3600.0


class Home:
    """A home with an endpoint ``flights``, whose windows are an hour long."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.clock: TurnedClock = ws.clock  # type: ignore[assignment]
        self.write(lambda tx: endpoints.ensure(tx, "flights", "flights", at=NOW))

    def write(self, work: Callable[[Tx], T]) -> T:
        return self.ws.acting_as(service("test")).write(Permission.WORK, work)

    def read(self, work: Callable[[Tx], T]) -> T:
        return self.ws.read(Permission.READ, work)

    def keep(
        self,
        place: int,
        found: Sequence[Finding] = (),
        *,
        version: int = 1,
        endpoint: str = "flights",
        **more: Any,
    ) -> Window:
        """Keep the window of an hour."""
        start = NOW + place * HOUR
        one = Window(
            id=f"{endpoint}:{place}", endpoint=endpoint, start=start, end=start + HOUR, rows=500,
            version=version, found=list(found), **more,
        )  # fmt: skip
        self.write(lambda tx: windows.save(tx, one))
        return one

    def window(self, place: int, found: Sequence[Finding] = (), **more: Any) -> Window:
        """Keep the window of an hour, be at its end, and let the engine work."""
        one = self.keep(place, found, **more)
        self.clock.turn(max(0.0, one.end - self.clock.now()))
        self.settle()
        return one

    def quiet_now(self) -> bool:
        """Return whether no engine has anything to do now."""
        return make_engine(self.ws, "test").quiet()

    def finish(self, true: Callable[[], bool]) -> None:
        """Work, with the patience that leases of a dead engine need, until something holds."""
        until = time.monotonic() + 60
        engine = make_engine(self.ws, "test")
        while not (not engine.step_once() and true()):
            assert time.monotonic() < until
            self.clock.turn(0.5)
            time.sleep(0.01)

    def race(self, count: int) -> None:
        """Let several engines work at once until nothing is left to do."""
        engines = [make_engine(self.ws, f"racer{i}") for i in range(count)]

        def work(engine: Any) -> None:
            idle = 0
            while idle < 3:
                idle = 0 if engine.step_once() else idle + 1

        threads = [threading.Thread(target=work, args=(one,)) for one in engines]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.settle()

    def settle(self) -> None:
        """Work until nothing is left to do now; what is due later stays."""
        engine = make_engine(self.ws, "test")
        for _ in range(500):
            if not engine.step_once():
                break
        assert not engine.troubles, engine.troubles

    def rule(self, name: str, **more: Any) -> AlarmRule:
        given = {"name": name, "endpoint": "flights", **more}
        return verbs.put_rule(self.ws, AlarmRule(**given), new=True)[0]

    def state(self, kind: str, subject: str, endpoint: str = "flights") -> AlarmState | None:
        found = self.read(lambda tx: states.some(tx, [states.state_id(endpoint, kind, subject)]))
        return found[0] if found else None

    def pages(self) -> list[str]:
        """Return "EVENT title" of every page, oldest first."""
        found = self.read(paging.listed)
        return [f"{one.message.event} {one.message.title}" for one in reversed(found)]

    def open_alarms(self) -> list[tuple[str, str]]:
        return [(one.kind, one.subject) for one in self.read(alarms.open_alarms)]


def drift(
    value: float | None, column: str = "temp", verdict: str = "quiet", monitor: str = "drift"
) -> Finding:
    return Finding(monitor=monitor, subject=column, value=value, verdict=verdict, rows=500)
