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

from mainspring.engine import leases, reactor, tasks
from mainspring.engine.doing import HOPELESS, Opener, Taken, ids_of, keep
from mainspring.engine.doing import Done as Done
from mainspring.engine.doing import Handler as Handler
from mainspring.engine.doing import Parks as Parks
from mainspring.engine.heartbeat import Heartbeat
from mainspring.engine.passes import Hands, Passes, answer_failure
from mainspring.engine.passes import Scan as Scan
from mainspring.engine.passes import Settled as Settled
from mainspring.engine.rest import Rest
from mainspring.engine.tasks import Lease
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
AT_ONCE = 100  # tasks that are done as soon as they are looked at, in one transaction
_log = logging.getLogger("mainspring.engine")


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
        self._clock = clock
        self._name = f"{name}:{living.mark()}"
        self._workers = workers
        self._lease_s = lease_s
        self._kinds = kinds
        self._leaves = leaves
        self._opens = dict(opens or {})
        self._came_to_rest = threading.Event()  # a worker found nothing to go on with
        self._wake = threading.Condition()
        self._news = 0  # grows whenever this engine made work for its workers
        self._seen: int | None = None
        self._heartbeat = Heartbeat(self._read, self._write, store.changed, lease_s)
        self._idle = Rest()  # of the workers
        #: what went wrong outside of tasks, by where; shown to people, empty when all is well
        self.troubles: dict[str, str] = {}
        self._passes = Passes(
            Hands(self._read, self._write, store.changed, self._guarded),
            reacts,
            clock,
            scans,
            settled,
            only_work=kinds is not None,  # one that takes some kinds only leaves the rest alone
        )

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
                        self._write(self._passes.expire)
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
        return self._passes.quiet()

    def one_pass(self) -> bool:
        """Scan, fire, react and bury the dead, once; return whether anything was found."""
        return self._passes.one()

    def _orphan(self) -> None:
        """Take over at once what engines of this machine held that are dead."""
        dead = self._read(leases.orphaned)
        if dead:
            self._write(lambda tx: leases.orphan(tx, dead))

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
                answer_failure(tx, lease.task, text)

        try:
            self._write(work)
        except LeaseLostError:
            _log.info("%s was taken over; its failure is dropped", lease.task.id)

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
