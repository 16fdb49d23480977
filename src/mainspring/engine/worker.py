"""Run handlers: claim a task, do it, keep its effect and its end in one fenced transaction."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import msgspec

from mainspring.engine import firing, freezes, leases, marks, reactor, tasks
from mainspring.engine.doing import HOPELESS, Opener, Taken, ids_of, keep
from mainspring.engine.doing import Done as Done
from mainspring.engine.doing import Handler as Handler
from mainspring.engine.doing import Parks as Parks
from mainspring.engine.heartbeat import Heartbeat
from mainspring.engine.rest import Rest
from mainspring.engine.tasks import Lease, NewTask
from mainspring.ground import living, logs
from mainspring.ground.clock import Clock
from mainspring.ground.errors import (
    BadInputError,
    LeaseLostError,
    MainspringError,
    StoreError,
)
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store, Tx

T = TypeVar("T")
WHO = service("engine")
TICK_S = 0.05  # between passes while there is something to do
IDLE_S = 0.25  # between passes otherwise
SOON_S = 60.0  # who works on one group only waits no longer for what is due later
AT_ONCE = 100  # events reacted to in one pass, so that scans get their turn too
_log = logging.getLogger("mainspring.engine")


Scan = Callable[[Tx], list[NewTask]]
Settled = Callable[[Tx], Mapping[str, float]]


class Engine:
    """Workers, a heartbeat and a pacer that scans, reacts and fires schedules.

    Several engines may share one store; each task is done by one of them. ``scans`` look at
    the store and return work that should exist: ids known already cost nothing. ``settled``
    is asked *before* a pass what is known by then; if the pass then finds nothing to do, its
    answer is noted as marks (see :mod:`marks`): everything up to there has been dealt with.
    ``kinds`` are the only kinds of task it takes, ``leaves`` those it leaves to other engines.
    One with ``kinds`` works and buries the dead; it neither scans, fires nor reacts. ``opens``
    says what some kinds of task want written when they are taken.
    """

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        reacts: reactor.Reactor,
        clock: Clock,
        scans: Sequence[Scan] = (),
        *,
        name: str = "engine",
        workers: int = 2,
        lease_s: float = 10.0,
        settled: Settled | None = None,
        kinds: Collection[str] | None = None,
        leaves: Collection[str] = (),
        opens: Mapping[str, Opener] | None = None,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._reactor = reacts
        self._clock = clock
        self._scans = tuple(scans)
        self._name = f"{name}:{living.mark()}"
        self._workers = workers
        self._lease_s = lease_s
        self._settled = settled
        self._kinds = kinds
        self._leaves = leaves
        self._opens = dict(opens or {})
        self._came_to_rest = threading.Event()  # a worker found nothing to go on with
        self._wake = threading.Condition()
        self._news = 0  # grows whenever this engine made work for its workers
        self._seen: int | None = None
        self._noted: dict[str, float] = {}  # what it found noted, or noted itself, last
        self._heartbeat = Heartbeat(self._read, self._write, store.changed, lease_s)
        self._rest, self._idle = Rest(), Rest()  # of the pacer, and of the workers
        #: what went wrong outside of tasks, by where; shown to people, empty when all is well
        self.troubles: dict[str, str] = {}

    # ---------------------------------------------------------------- running

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; then give back what is unfinished and return."""
        self._guarded("orphans", self._orphan)
        with self._crew(stop):
            while not stop.is_set():
                if self._guarded("pass", self.one_pass):
                    self._tell()
                    stop.wait(TICK_S)
                    continue
                for _ in range(int(IDLE_S / TICK_S)):
                    if stop.wait(TICK_S) or self._moved():
                        self._tell()  # somebody else may have made work for our workers
                        break

    def run_group(self, group: str, stop: threading.Event | None = None) -> dict[str, int]:
        """Work on one group until all its tasks are final; return how many ended how.

        Neither scans nor reacts; tasks that another engine holds are waited for, and those of
        other groups that this one waits for are done as well. It returns before the end if all
        that is left waits for news, or for a time more than ``SOON_S`` away.
        """
        stop = stop or threading.Event()
        ended, rest = threading.Event(), Rest()

        def over(tx: Tx) -> bool:
            if tasks.all_final(tx, group):
                return True
            soon = self._clock.now() + SOON_S
            if not tasks.asleep(tx, [group], soon):
                return False
            return tasks.asleep(tx, [group, *tasks.awaited(tx, group)], soon)

        def look(tx: Tx) -> tuple[bool, bool]:
            return over(tx), leases.expired(tx)

        self._guarded("orphans", self._orphan)
        with self._crew(ended, group):
            while not stop.is_set():
                self._came_to_rest.clear()
                now, changed = self._clock.now(), self._store.changed()
                if not rest.holds(changed, now):
                    ended_, expired = self._read(look)
                    if ended_:
                        break
                    if expired:
                        self._write(self._expire)
                    rest.begin(changed, now)
                self._came_to_rest.wait(TICK_S)
        return self._read(lambda tx: tasks.group_state(tx, group))

    def run_until(self, wanted: Callable[[Tx], bool], stop: threading.Event | None = None) -> bool:
        """Run like ``run`` until a question about the store is answered yes; return whether."""
        stop = stop or threading.Event()
        ended = threading.Event()
        thread = threading.Thread(target=self.run, args=(ended,), name=f"{self._name}-pacer")
        thread.start()
        try:
            while not (found := self._read(wanted)) and not stop.wait(TICK_S):
                pass
        finally:
            ended.set()
            thread.join()
        return found

    def step_once(self) -> bool:
        """Do one pass and one task, in this thread; return whether there was anything to do."""
        worked = self.one_pass()
        lease, done = self._claim(None)
        if lease is not None:
            self.work(lease, None, next_one=False)
        return worked or lease is not None or bool(done)

    def quiet(self) -> bool:
        """Return whether there is nothing to react to and nothing to do."""
        return self._read(self._is_quiet)

    def one_pass(self) -> bool:
        """Scan, fire, react and bury the dead, once; return whether anything was found."""
        if self._kinds is not None:  # one that takes some kinds only leaves the rest alone
            return self._bury()
        now, changed = self._clock.now(), self._store.changed()
        if self._rest.holds(changed, now):
            if not self._scan() and not self._unnoted():
                return False  # nothing in the store has moved since there was nothing to do
            self._rest.over()
        known = self._read(self._known_at_rest)
        found = self._scan()
        here("scan.done")
        if self._read(lambda tx: bool(firing.due(tx, now))):
            found |= bool(self._write(lambda tx: firing.fire(tx, now)))
        if self._read(lambda tx: bool(freezes.over(tx, now))):
            found |= self._write(lambda tx: freezes.thaw(tx, now))
        found |= self._react()
        if self._read(leases.expired):
            found |= self._write(self._expire)
        if known and not found:
            self._note_quiet(known)
        if not found:
            self._rest.begin(changed, now)
        return found

    # ---------------------------------------------------------------- one pass

    def _orphan(self) -> None:
        """Take over at once what engines of this machine held that are dead."""
        dead = self._read(leases.orphaned)
        if dead:
            self._write(lambda tx: leases.orphan(tx, dead))

    def _bury(self) -> bool:
        now, changed = self._clock.now(), self._store.changed()
        if self._rest.holds(changed, now):
            return False
        if self._read(leases.expired):
            return self._write(self._expire)
        self._rest.begin(changed, now)
        return False

    def _scan(self) -> bool:
        new: list[NewTask] = []
        for scan in self._scans:
            where = f"scan {getattr(scan, '__name__', scan)}"
            new += self._guarded(where, lambda scan=scan: self._read(scan)) or []  # type: ignore[misc]
        if not new:
            return False
        there = self._read(lambda tx: tasks.known(tx, [task.id for task in new]))
        fresh = [task for task in new if task.id not in there]
        return bool(fresh) and bool(self._write(lambda tx: tasks.submit(tx, fresh)))

    def _react(self) -> bool:
        stuck: set[str] = set()
        for count in range(AT_ONCE):
            loop = self._read(lambda tx: reactor.pending(tx, stuck))
            if loop is None:
                return count > len(stuck)
            here("react.before")
            where = f"loop {loop}"

            def react(tx: Tx, loop: str = loop) -> bool:
                return self._reactor.react_once(tx, self._clock.now(), loop)

            # A loop that cannot react must not keep the others from it.
            if self._guarded(where, lambda: self._write(react)) is None:
                stuck.add(loop)
            here("react.committed")
        return True

    def _expire(self, tx: Tx) -> bool:
        ended = leases.expire(tx, self._clock.now())
        for task in ended:
            self._answer_failure(tx, task, task.error)
        return bool(ended)

    def _busy(self, tx: Tx) -> bool:
        return tasks.unsettled(tx, self._clock.now(), grouped=False)

    def _is_quiet(self, tx: Tx) -> bool:
        return reactor.pending(tx) is None and not tasks.unsettled(tx, self._clock.now())

    def _known_at_rest(self, tx: Tx) -> dict[str, float]:
        """Return what is settled, if nothing is at work that could end after the scan, unseen."""
        if self._settled is None or reactor.pending(tx) is not None or self._busy(tx):
            return {}
        return dict(self._settled(tx))

    def _unnoted(self) -> bool:
        """Return whether more is known by now than was noted."""
        settled = self._settled
        return settled is not None and dict(self._read(settled)) != self._noted

    def _note_quiet(self, known: Mapping[str, float]) -> None:
        if known == self._noted:
            return

        def news(tx: Tx) -> bool | None:
            # A run that somebody started says nothing of what is known up to here.
            if reactor.pending(tx) is not None or self._busy(tx):
                return None
            there = marks.read(tx)
            return any(there.get(k) != v for k, v in known.items())

        found = self._read(news)
        if found:
            self._write(lambda tx: marks.note(tx, known, self._clock.now()))
        if found is not None:
            self._noted = dict(known)

    # ---------------------------------------------------------------- one task

    def work(self, lease: Lease, group: str | None, *, next_one: bool = True) -> Lease | None:
        """Do one task; return the lease of the next, claimed in the same transaction."""
        with logs.about(task=lease.task.id, **ids_of(lease)):
            return self._work(lease, group, next_one)

    def _work(self, lease: Lease, group: str | None, next_one: bool) -> Lease | None:
        self._heartbeat.add(lease)
        began = time.monotonic()
        try:
            here("handler.before")
            handler = self._handlers.get(lease.task.kind)
            if handler is None:
                raise BadInputError(f"No handler does tasks of the kind {lease.task.kind!r}.")
            done = handler(lease)
            here("handler.after")
            following = self._write(lambda tx: self._finish(tx, lease, done, group, next_one))
            seconds = round(time.monotonic() - began, 3)
            _log.info("%s done", lease.task.kind, extra={"seconds": seconds})
            return following
        except LeaseLostError:
            _log.info("%s was taken over; the result is dropped", lease.task.id)
        except Exception as error:  # noqa: BLE001  the outermost place: the trace is kept
            self._guarded(f"task {lease.task.id}", partial(self._failed, lease, error))
        finally:
            self._heartbeat.drop(lease)
            here("task.ended")
        return None

    def _finish(
        self, tx: Tx, lease: Lease, done: Done, group: str | None, next_one: bool
    ) -> Lease | None:
        now = self._clock.now()
        keep(tx, lease, done, now)
        here("finish.before_commit")
        if not next_one:
            return None
        return self._take(tx, now, group and lease.task.group).lease

    def _failed(self, lease: Lease, error: Exception) -> None:
        known = isinstance(error, MainspringError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        trace = getattr(error, "trace", "") or "".join(traceback.format_exception(error))
        ending = lease.cancelled() and self._heartbeat.ending
        if not lease.cancelled():
            what = {"trace": trace, "attempt": lease.attempt}
            _log.warning("%s failed: %s", lease.task.kind, text, extra=what)

        def work(tx: Tx) -> None:
            now, again = self._clock.now(), not isinstance(error, HOPELESS)
            if ending:
                state = leases.release(tx, lease, now)
            else:
                wait_s = getattr(error, "wait_s", None)
                state = leases.fail(
                    tx, lease, text, retry=again, now=now, trace=trace, wait_s=wait_s
                )
            if state in tasks.BROKEN:
                self._answer_failure(tx, lease.task, text)

        try:
            self._write(work)
        except LeaseLostError:
            _log.info("%s was taken over; its failure is dropped", lease.task.id)

    def _answer_failure(self, tx: Tx, task: tasks.Task, error: str) -> None:
        event = reactor.command_failed(task.kind, task.payload, error)
        if event is not None:
            reactor.emit(tx, event, f"failed:{task.id}")

    def _claim(self, group: str | None) -> Taken:
        now, changed = self._clock.now(), self._store.changed()
        if self._idle.holds(changed, now):
            return Taken(None)
        # Look first: an idle engine must not write.
        found = self._read(lambda tx: self._somewhere(tx, now, group))
        if found is None:
            self._idle.begin(changed, now)
            return Taken(None)
        taken = self._write(lambda tx: self._take(tx, now, found[0]))
        here("claim.committed")
        return taken

    def _somewhere(self, tx: Tx, now: float, group: str | None) -> tuple[str | None] | None:
        """Return the group in which there is something to do for us; None if there is nothing."""

        def free(one: str | None) -> bool:
            return leases.claimable(tx, now, one, self._kinds, self._leaves)

        if free(group):
            return (group,)
        beyond = [] if group is None else tasks.awaited(tx, group)
        return next(((one,) for one in beyond if free(one)), None)

    def _take(self, tx: Tx, now: float, group: str | None) -> Taken:
        """Take the next task; those that are done as soon as they are looked at are done here."""
        for done in range(AT_ONCE):
            lease = leases.claim(
                tx,
                self._name,
                self._lease_s,
                now,
                group=group,
                kinds=self._kinds,
                leaves=self._leaves,
            )
            if lease is None:
                return Taken(None, done)
            opened = self._open(tx, lease)
            if not isinstance(opened, Done):
                return Taken(msgspec.structs.replace(lease, opened=opened), done)
            keep(tx, lease, opened, now)
        return Taken(None, AT_ONCE)

    def _open(self, tx: Tx, lease: Lease) -> Any:
        opener = self._opens.get(lease.task.kind)
        if opener is None:
            return None
        try:
            return opener.open(tx, lease)
        except StoreError:
            raise  # the transaction is lost
        except MainspringError:
            return None  # the handler meets it again, and what it raises is kept with the task

    # ---------------------------------------------------------------- threads

    @contextmanager
    def _crew(self, stop: threading.Event, group: str | None = None) -> Iterator[None]:
        """Have the worker threads and the heartbeat for as long as the block lasts."""
        threads = [
            threading.Thread(target=self.worker, args=(stop, group), name=f"{self._name}-{number}")
            for number in range(self._workers)
        ]
        self._heartbeat.start()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            self._heartbeat.stop_all()
            with self._wake:
                self._news += 1
                self._wake.notify_all()
            for thread in threads:
                thread.join()
            self._heartbeat.end()

    def worker(self, stop: threading.Event, group: str | None) -> None:
        """Do tasks until ``stop`` is set: the body of one worker thread."""
        lease: Lease | None = None
        while not stop.is_set():
            news = self._news
            if lease is None:
                lease, done = self._guarded("claim", lambda: self._claim(group)) or Taken(None)
                if done or lease is not None:
                    self._tell()
                if done and lease is None:
                    self._came_to_rest.set()
                    continue
            if lease is None:
                self._await_news(news, TICK_S if group else IDLE_S)
                continue
            lease = self.work(lease, group)
            self._tell()
            if lease is None:
                self._came_to_rest.set()
        if lease is not None:
            held = lease
            self._guarded("release", lambda: self._give_back(held))

    def _give_back(self, lease: Lease) -> str:
        def work(tx: Tx) -> str:
            state = leases.release(tx, lease, self._clock.now())
            if lease.opened is not None:
                self._opens[lease.task.kind].undo(tx, lease)
            return state

        return self._write(work)

    def _tell(self) -> None:
        """Wake one worker that waits: if it finds something, it wakes the next in turn."""
        with self._wake:
            self._news += 1
            self._wake.notify()

    def _await_news(self, seen: int, timeout_s: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._news != seen, timeout_s)

    def _moved(self) -> bool:
        seen, self._seen = self._seen, self._store.changed()
        return seen != self._seen

    def _guarded(self, where: str, work: Callable[[], T]) -> T | None:
        """Run something that must not end the engine; keep what went wrong for people to see."""
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  an engine goes on; the trace is kept
            self.troubles[where] = "".join(traceback.format_exception(error))
            _log.exception("%s", where)
            return None
        self.troubles.pop(where, None)
        return result

    def _read(self, work: Callable[[Tx], T]) -> T:
        return self._store.read(WHO, Permission.WORK, work)

    def _write(self, work: Callable[[Tx], T]) -> T:
        return self._store.write(WHO, Permission.WORK, work)
