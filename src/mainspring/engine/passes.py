"""What an engine does besides tasks, pass by pass: scan, fire, react, bury the dead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mainspring.engine import firing, freezes, leases, marks, reactor, tasks
from mainspring.engine.rest import Rest
from mainspring.engine.tasks import NewTask
from mainspring.ground.clock import Clock
from mainspring.ground.killpoints import here
from mainspring.ground.ports import Tx

AT_ONCE = 100  # events reacted to in one pass, so that scans get their turn too

Scan = Callable[[Tx], list[NewTask]]
Settled = Callable[[Tx], Mapping[str, float]]


class Hands(NamedTuple):
    """How an engine reads and writes, and keeps going when something goes wrong."""

    read: Callable[[Callable[[Tx], Any]], Any]
    write: Callable[[Callable[[Tx], Any]], Any]
    changed: Callable[[], int]
    guarded: Callable[[str, Callable[[], Any]], Any]  #: None instead of an error, which it keeps


class Passes:
    """Looks at the store, again and again, for work that should exist."""

    def __init__(
        self,
        hands: Hands,
        reacts: reactor.Reactor,
        clock: Clock,
        scans: Sequence[Scan],
        settled: Settled | None,
        *,
        only_work: bool,
    ) -> None:
        self._hands, self._reactor, self._clock = hands, reacts, clock
        self._scans, self._settled = tuple(scans), settled
        self._only_work = only_work  # it neither scans, fires nor reacts
        self._noted: dict[str, float] = {}  # what it found noted, or noted itself, last
        self._rest = Rest()

    def one(self) -> bool:
        """Scan, fire, react and bury the dead, once; return whether anything was found."""
        if self._only_work:
            return self._bury()
        now, changed = self._clock.now(), self._hands.changed()
        if self._rest.holds(changed, now):
            if not self._scan() and not self._unnoted():
                return False  # nothing in the store has moved since there was nothing to do
            self._rest.over()
        known = self._hands.read(self._known_at_rest)
        found = self._scan()
        here("scan.done")
        if self._hands.read(lambda tx: bool(firing.due(tx, now))):
            found |= bool(self._hands.write(lambda tx: firing.fire(tx, now)))
        if self._hands.read(lambda tx: bool(freezes.over(tx, now))):
            found |= self._hands.write(lambda tx: freezes.thaw(tx, now))
        found |= self._react()
        if self._hands.read(leases.expired):
            found |= self._hands.write(self.expire)
        if known and not found:
            self._note_quiet(known)
        if not found:
            self._rest.begin(changed, now)
        return found

    def _bury(self) -> bool:
        now, changed = self._clock.now(), self._hands.changed()
        if self._rest.holds(changed, now):
            return False
        if self._hands.read(leases.expired):
            return bool(self._hands.write(self.expire))
        self._rest.begin(changed, now)
        return False

    def _scan(self) -> bool:
        new: list[NewTask] = []
        for scan in self._scans:
            where = f"scan {getattr(scan, '__name__', scan)}"
            new += self._hands.guarded(where, lambda scan=scan: self._hands.read(scan)) or []  # type: ignore[misc]
        if not new:
            return False
        there = self._hands.read(lambda tx: tasks.known(tx, [task.id for task in new]))
        fresh = [task for task in new if task.id not in there]
        return bool(fresh) and bool(self._hands.write(lambda tx: tasks.submit(tx, fresh)))

    def _react(self) -> bool:
        stuck: set[str] = set()
        for count in range(AT_ONCE):
            loop = self._hands.read(lambda tx: reactor.pending(tx, stuck))
            if loop is None:
                return count > len(stuck)
            here("react.before")
            where = f"loop {loop}"

            def react(tx: Tx, loop: str = loop) -> bool:
                return self._reactor.react_once(tx, self._clock.now(), loop)

            # A loop that cannot react must not keep the others from it.
            if self._hands.guarded(where, lambda: self._hands.write(react)) is None:
                stuck.add(loop)
            here("react.committed")
        return True

    def expire(self, tx: Tx) -> bool:
        """End what dead workers had tried for the last time; return whether there was any."""
        ended = leases.expire(tx, self._clock.now())
        for task in ended:
            answer_failure(tx, task, task.error)
        return bool(ended)

    def _busy(self, tx: Tx) -> bool:
        return tasks.unsettled(tx, self._clock.now(), grouped=False)

    def quiet(self) -> bool:
        """Return whether there is nothing to react to and nothing to do."""

        def look(tx: Tx) -> bool:
            return reactor.pending(tx) is None and not tasks.unsettled(tx, self._clock.now())

        return bool(self._hands.read(look))

    def _known_at_rest(self, tx: Tx) -> dict[str, float]:
        """Return what is settled, if nothing is at work that could end after the scan, unseen."""
        if self._settled is None or reactor.pending(tx) is not None or self._busy(tx):
            return {}
        return dict(self._settled(tx))

    def _unnoted(self) -> bool:
        """Return whether more is known by now than was noted."""
        settled = self._settled
        return settled is not None and dict(self._hands.read(settled)) != self._noted

    def _note_quiet(self, known: Mapping[str, float]) -> None:
        if known == self._noted:
            return

        def news(tx: Tx) -> bool | None:
            # A run that somebody started says nothing of what is known up to here.
            if reactor.pending(tx) is not None or self._busy(tx):
                return None
            there = marks.read(tx)
            return any(there.get(k) != v for k, v in known.items())

        found = self._hands.read(news)
        if found:
            self._hands.write(lambda tx: marks.note(tx, known, self._clock.now()))
        if found is not None:
            self._noted = dict(known)


def answer_failure(tx: Tx, task: tasks.Task, error: str) -> None:
    """Tell the loop that commanded a task that it failed."""
    event = reactor.command_failed(task.kind, task.payload, error)
    if event is not None:
        reactor.emit(tx, event, f"failed:{task.id}")
