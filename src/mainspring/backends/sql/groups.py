"""Let concurrent writers of one process share one transaction, and so one fsync.

The first writer to come leads: it waits for the database, takes everything queued by then,
runs each work in a savepoint of its own, commits once and only then acknowledges all of
them. Meanwhile the next group gathers, and its first becomes the next leader.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mainspring.backends.sql.tx import AgainError, SqlTx
from mainspring.ground.errors import StoreError
from mainspring.ground.permissions import Principal
from mainspring.ground.ports import Tx

GROUP = 256  #: works in one transaction; keeps a stampede from holding the lock for long
ATTEMPTS = 4  #: of one work; the second is made alone, so only a lost server needs a third


class Session(Protocol):
    """The one writing connection of a process."""

    def turn(self) -> AbstractContextManager[None]:
        """Wait until this process may write."""
        ...

    def begin(self, alone: bool) -> None:
        """Begin a transaction; ``alone``: with no other writer beside it."""
        ...

    def tx(self, who: Principal) -> SqlTx:
        """Return the transaction's face for one work."""
        ...

    def mark(self) -> None:
        """Set a savepoint."""
        ...

    def keep_mark(self) -> None:
        """Keep what was done since the savepoint."""
        ...

    def undo_mark(self) -> None:
        """Undo what was done since the savepoint."""
        ...

    def commit(self) -> None:
        """Make the transaction durable.

        Raises:
            AgainError: if the database undid it; the works may run again.
            StoreError: if it failed for good; nothing was kept.
        """
        ...

    def undo(self) -> bool:
        """Roll back what is open; return False if all had been committed already."""
        ...


class Job:
    """One caller's work on its way through a group."""

    __slots__ = ("done", "error", "leads", "ready", "result", "who", "work")

    def __init__(self, who: Principal, work: Callable[[Tx], Any]) -> None:
        self.who = who
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False  # result or error is final
        self.leads = False
        self.ready = threading.Event()  # done, or told to lead

    def settle(self, error: BaseException | None = None) -> None:
        """Make the outcome final."""
        self.error = error if error is not None else self.error
        self.done = True


class Writers:
    """The queue of writers, and who leads it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._mutex = threading.Lock()
        self._queue: deque[Job] = deque()
        self._leading = False

    def submit(self, who: Principal, work: Callable[[Tx], Any]) -> Any:
        """Run ``work`` in a group, and return its result once that is durable."""
        job = Job(who, work)
        try:
            with self._mutex:
                self._queue.append(job)
                if not self._leading:
                    self._leading = job.leads = True
            if not job.leads:
                job.ready.wait()
            if job.leads:
                self._lead(job)
        except BaseException:  # Ctrl-C: step out of the line, or the line would stand still
            self._leave(job)
            raise
        if job.error is not None:
            raise job.error
        return job.result

    def _lead(self, leader: Job) -> None:
        taken: list[Job] = []
        try:
            with self._session.turn():
                with self._mutex:
                    while self._queue and len(taken) < GROUP:
                        taken.append(self._queue.popleft())
                run_group(self._session, taken)
        except Exception as error:  # noqa: BLE001  whatever it was, each caller must hear of it
            with self._mutex:
                if not taken:
                    taken.extend(self._queue)
                    self._queue.clear()
            for job in taken:
                if not job.done:
                    job.settle(error)
        finally:
            self._pass_on(leader, taken)

    def _pass_on(self, leader: Job, taken: list[Job]) -> None:
        with self._mutex:
            # Ctrl-C struck this thread in the middle of a group: others' works go back in line.
            again = [job for job in taken if not job.done and job is not leader]
            self._queue.extendleft(reversed(again))
        self._leave(leader)
        for job in taken:
            if job.done:
                job.ready.set()

    def _leave(self, job: Job) -> None:
        """Take a job out of the line, and the lead from it if it has that."""
        with self._mutex:
            if job in self._queue:
                self._queue.remove(job)
            if job.leads:
                job.leads = False
                self._appoint()

    def _appoint(self) -> None:
        """Make the first in line the leader; the mutex is held."""
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].ready.set()
        else:
            self._leading = False


def run_group(session: Session, jobs: list[Job]) -> None:
    """Run works in one transaction; should that fail, each in a transaction of its own."""
    try:
        if len(jobs) == 1 or not _together(session, jobs):
            for job in jobs:
                _alone(session, job, first=len(jobs) == 1)
    except BaseException:
        if not session.undo():  # the commit had been made when we were interrupted
            for job in jobs:
                job.settle()
        raise


def _together(session: Session, jobs: list[Job]) -> bool:
    """Return False if the database undid it all and nothing is decided."""
    try:
        session.begin(alone=False)
        kept = [_in_savepoint(session, job) for job in jobs]
        if any(kept):
            session.commit()
        else:
            session.undo()
    except AgainError:
        session.undo()
        return False
    for job in jobs:
        job.settle()
    return True


def _in_savepoint(session: Session, job: Job) -> bool:
    job.result = job.error = None
    session.mark()
    tx = session.tx(job.who)
    try:
        job.result = job.work(tx)
        _check(tx)
        session.keep_mark()
    except AgainError:
        raise
    except Exception as error:
        if isinstance(tx.failed, AgainError):
            raise tx.failed from error
        job.error = error
        session.undo_mark()
        return False
    return True


def _alone(session: Session, job: Job, first: bool) -> None:
    """Run one work in a transaction of its own, again if the database asks for it."""
    for attempt in range(ATTEMPTS):
        job.result = job.error = None
        tx: SqlTx | None = None
        try:
            session.begin(alone=not (first and attempt == 0))
            tx = session.tx(job.who)
            job.result = job.work(tx)
            _check(tx)
            session.commit()
        except Exception as error:  # noqa: BLE001  it is raised again in the thread that asked
            session.undo()
            again = isinstance(error, AgainError) or (tx and isinstance(tx.failed, AgainError))
            if again and attempt < ATTEMPTS - 1:
                continue
            cause = error.__cause__ or error
            job.error = (
                StoreError(f"The database undid this write {ATTEMPTS} times: {cause}")
                if again
                else error
            )
        job.settle()
        return


def _check(tx: SqlTx) -> None:
    if tx.failed is not None:  # the work caught it and went on; half of it must not be kept
        raise tx.failed
