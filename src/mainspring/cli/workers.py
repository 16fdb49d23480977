"""The worker processes of one endpoint: as many as its load asks for, behind one socket.

Standard library only. What to do is decided in :mod:`mainspring.cli.scaling`, which knows nothing
of processes; who starts and ends them is a :class:`Starts`, here the supervisor.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from mainspring.cli.child import Child
from mainspring.cli.scaling import Change, Course, Target, decide, excess, together, woken
from mainspring.cli.sockets import EndpointSocket
from mainspring.ground.clock import SystemClock

#: What workers told counts for so long; of one that is at rest its last word.
WINDOW_S = 2.0
LOOK_S = 0.5
#: Between two times that connections are shared out anew.
SHARE_OUT_S = 2.0
END_S = 5.0
CHANGES_KEPT = 20
_log = logging.getLogger("mainspring.supervisor")


class Starts(Protocol):
    """Who starts and ends the workers of endpoints."""

    def begin(self, endpoint: str, worker: int) -> Child:
        """Start a worker with a number that none of this endpoint has."""

    def end(self, child: Child, within_s: float) -> None:
        """Ask a worker to finish what it has; it ends within this time."""


class Workers:
    """The workers of one endpoint."""

    def __init__(self, name: str, socket: EndpointSocket, starts: Starts) -> None:
        self.name = name
        self.socket = socket
        self._starts = starts
        self._target = Target()
        self._course: Course | None = None  #: None until it is told what is wanted
        self._beats: dict[str, deque[tuple[float, dict[str, Any]]]] = {}
        self._edges: list[float] = []
        self._changes: deque[dict[str, Any]] = deque(maxlen=CHANGES_KEPT)
        self._looked = self._shared_out = 0.0
        self._answered = False

    @property
    def wanted(self) -> int:
        """Return how many there should be."""
        return 0 if self._course is None else self._course.wanted

    def configure(self, told: Mapping[str, Any], now: float) -> None:
        """Take what is wanted of them from now on."""
        self._target = Target.of(told)
        if self._course is None:
            self._course = Course(self._target.fewest, busy=now)

    def hear(self, child: Child, message: Mapping[str, Any], now: float) -> None:
        """Take a worker's word of how it is."""
        if "ready" in message:
            self._answered = True
            edges = message.get("edges")
            self._edges = edges if isinstance(edges, list) else []
        beat = message.get("beat")
        if isinstance(beat, dict):
            self._beats.setdefault(child.name, deque(maxlen=16)).append((now, beat))

    def ended(self, child: Child) -> None:
        """Forget what a process that has ended told."""
        self._beats.pop(child.name, None)
        if child.ended is not None:
            self.socket.forget(child.ended)

    def knock(self, now: float) -> None:
        """Have one worker, as somebody waits and there is none."""
        if self._course is not None and self._course.wanted == 0:
            self._course, change = woken(self._course, now)
            self._keep(change)

    def look(self, mine: list[Child], now: float) -> None:
        """See whether others than there are should be, and start and end them."""
        if self._course is None:
            return
        if now - self._looked >= LOOK_S:
            self._looked = now
            if not any(child.ready for child in mine if child.wanted):
                # Who waits for a worker that only starts is not to see it end as an idle one.
                self._course = replace(self._course, busy=now)
            load = together(self._loads(now), self._edges)
            self._course, change = decide(self._target, self._course, load, now)
            if change is not None:
                self._keep(change)
            self._share_out(mine, now)
        self._fit(mine)
        if self._answered or self._course.wanted == 0:
            self._tell()

    def _fit(self, mine: list[Child]) -> None:
        staying = [child for child in mine if child.wanted]
        # The youngest go first: those who have lived longest have the most connections.
        for child in sorted(staying, key=lambda c: c.worker)[self.wanted :]:
            self._starts.end(child, END_S)
        taken = {child.worker for child in mine}
        for _ in range(self.wanted - len(staying)):
            worker = next(n for n in range(1, len(taken) + 2) if n not in taken)
            taken.add(worker)
            self._starts.begin(self.name, worker)

    def _loads(self, now: float) -> list[tuple[float, float, list[int]]]:
        found = []
        for beats in self._beats.values():
            recent = [beat for at, beat in beats if now - at <= WINDOW_S]
            flying = [_number(beat, "flying") for beat in recent or [beats[-1][1]]]
            took = [beat["took"] for beat in recent if isinstance(beat.get("took"), list)]
            counts = [sum(column) for column in zip(*took, strict=False)]
            found.append((sum(flying) / len(flying), sum(counts) / WINDOW_S, counts))
        return found

    def _share_out(self, mine: list[Child], now: float) -> None:
        """Have workers with more than their share of connections let the rest go."""
        if now - self._shared_out < SHARE_OUT_S:
            return
        ready = {c.name: c for c in mine if c.ready and c.wanted and c.name in self._beats}
        connections = {n: int(_number(self._beats[n][-1][1], "open")) for n in ready}
        for name, number in excess(connections).items():
            self._shared_out = now
            ready[name].tell({"shed": number})

    def _keep(self, change: Change) -> None:
        at = SystemClock().now()
        self._changes.append(
            {"at": at, "before": change.before, "after": change.after, "why": change.why}
        )
        _log.info(
            "%s: %d workers instead of %d: %s",
            *(self.name, change.after, change.before, change.why),
            extra={"endpoint": self.name},
        )

    def _tell(self) -> None:
        fewest, most = self._target.fewest, self._target.most
        self.socket.tell(wanted=self.wanted, fewest=fewest, most=most, changes=list(self._changes))


def _number(beat: Mapping[str, Any], name: str) -> float:
    found = beat.get(name)
    return float(found) if isinstance(found, int | float) else 0.0
