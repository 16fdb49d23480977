"""Hand work out under leases, and refuse what an old owner brings.

A worker renews its lease while it works; one that died stops renewing, and after ``lease_s``
its task is given to another with a higher ``attempt``. Owner and attempt fence the result.

Two clocks: leases are kept by ``tx.lease_now()``, which nobody can turn; ``now`` is wall time
and decides only when a task is due.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Float, and_, bindparam, not_, or_, select, update

from mainspring.engine.tables import tasks
from mainspring.engine.tasks import (
    Lease,
    NewTask,
    Task,
    count_down,
    due,
    join,
    known,
    move,
    moving,
    settle,
    submit,
    task_of,
)
from mainspring.ground import living
from mainspring.ground.errors import LeaseLostError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Tx

BACKOFF_MAX_S = 300.0
#: Places in statements that are built once.
_NOW, _LEASE_NOW = bindparam("now_", type_=Float), bindparam("lease_now_", type_=Float)
_HELD = and_(
    tasks.c.id == bindparam("id_"),
    tasks.c.owner == bindparam("owner_"),
    tasks.c.attempt == bindparam("attempt_"),
    tasks.c.state == "leased",
)


def claimable(
    tx: Tx,
    now: float,
    group: str | None = None,
    kinds: Collection[str] | None = None,
    leaves: Collection[str] = (),
) -> bool:
    """Return whether a worker that asks now would get a task; it writes nothing."""
    query = _free(group is not None, None if kinds is None else tuple(kinds), tuple(leaves))
    return tx.one(query, {**_clocks(tx, now), "group_": group}) is not None


@lru_cache(64)
def _free(grouped: bool, kinds: tuple[str, ...] | None, leaves: tuple[str, ...]) -> Any:
    free = or_(and_(tasks.c.state == "ready", due(_NOW)), _expired(_LEASE_NOW))
    query = select(tasks.c.id).where(free, *_wanted(grouped, kinds, leaves))
    return query.limit(1)


def claim(
    tx: Tx,
    owner: str,
    lease_s: float,
    now: float,
    *,
    group: str | None = None,
    kinds: Collection[str] | None = None,
    leaves: Collection[str] = (),
) -> Lease | None:
    """Take the next task that is ready and due, or return None.

    Only one of ``group`` and of ``kinds``, where they are given, and none of the kinds that
    this worker ``leaves`` to others.
    """
    clocks = _clocks(tx, now)
    tx.all(_giving_back(), clocks)
    taking = _taking(group is not None, None if kinds is None else tuple(kinds), tuple(leaves))
    told = {"owner_": owner, "lease_s_": lease_s, "until_": clocks["lease_now_"] + lease_s}
    taken = tx.all(taking, {**clocks, **told, "group_": group})
    if not taken:
        return None
    task = task_of(taken[0])
    return Lease(task=task, owner=owner, attempt=task.attempt)


@cache
def _giving_back() -> Any:
    """Return what makes ready again what workers held that died, and have tries left."""
    again = tasks.c.attempt < tasks.c.last_attempt
    lost = and_(_expired(_LEASE_NOW), again, not_(tasks.c.stop))
    return moving(lost, ["leased"], "ready", owner=None)


@lru_cache(64)
def _taking(grouped: bool, kinds: tuple[str, ...] | None, leaves: tuple[str, ...]) -> Any:
    query = select(tasks.c.id).where(
        tasks.c.state == "ready", due(_NOW), *_wanted(grouped, kinds, leaves)
    )
    query = query.order_by(tasks.c.priority.desc(), tasks.c.seq).limit(1)
    # SKIP LOCKED: two workers on PostgreSQL take two tasks instead of waiting for one.
    first = query.with_for_update(skip_locked=True).correlate(None).scalar_subquery()
    return moving(
        tasks.c.id == first,
        ["ready"],
        "leased",
        owner=bindparam("owner_"),
        attempt=tasks.c.attempt + 1,
        lease_s=bindparam("lease_s_"),
        lease_until=bindparam("until_"),
        started=_NOW,
        ended=None,
        stop=False,
    )


def park(
    tx: Tx,
    lease: Lease,
    new: Sequence[NewTask] = (),
    needs: Collection[str] = (),
    begin: Callable[[Tx], None] | None = None,
) -> bool:
    """Let a leased task wait for the end of ``new`` tasks and ``needs``; return whether it does.

    So a graph grows while it runs: the new tasks, their edges and the wait are kept in one
    transaction, or nothing is. The task is ready again once all of them have ended, however
    they ended, with all of its attempts before it. One that was asked to stop is ``cancelled``
    instead, and adds nothing. ``begin`` makes what the needs are of, once it is sure to wait.

    Raises:
        LeaseLostError: if another worker owns the task by now.
        BadInputError: if a need is unknown.
    """
    own = lease.task.id
    change = {
        "owner": None,
        "due": None,
        "unfinished": 1,  # our own, until all others are counted
        "last_attempt": tasks.c.attempt + tasks.c.max_attempts,
    }
    if not move(tx, and_(_held(lease), not_(tasks.c.stop)), ["leased"], "waiting", **change):
        fail(tx, lease, "It was cancelled.", retry=False, now=tx.now())
        return False
    if begin is not None:
        begin(tx)
    there = known(tx, [task.id for task in new])
    fresh = [task for task in new if task.id not in there]
    submit(tx, [msgspec.structs.replace(task, before=[*task.before, own]) for task in fresh])
    join(tx, own, [*there, *needs])
    count_down(tx, own)
    return True


def renew(tx: Tx, lease: Lease) -> bool:
    """Keep a lease for another ``lease_s``; return whether the task was asked to stop.

    Raises:
        LeaseLostError: if another worker owns the task by now.
    """
    row = tx.one(_renewing(), {**_named(lease), "lease_now_": tx.lease_now()})
    if row is None:
        raise _lost(lease)
    return bool(row.stop)


@cache
def _renewing() -> Any:
    longer = update(tasks).where(_HELD).values(lease_until=_LEASE_NOW + tasks.c.lease_s)
    return longer.returning(tasks.c.stop)


def asked_to_stop(tx: Tx, held: Sequence[Lease]) -> list[Lease]:
    """Return those leases whose task was cancelled or given to another meanwhile."""
    if not held:
        return []
    query = select(tasks.c.id, tasks.c.attempt).where(or_(*map(_held, held)), not_(tasks.c.stop))
    fine = {(row.id, row.attempt) for row in tx.all(query)}
    return [lease for lease in held if (lease.task.id, lease.attempt) not in fine]


def finish(tx: Tx, lease: Lease, result: dict[str, Any], now: float) -> None:
    """Note that a task is done, and free what waited for it.

    Raises:
        LeaseLostError: if another worker owns the task by now; nothing of this transaction
            may stay.
    """
    kept = canonical(result).decode()
    moved = tx.all(_finishing(), {**_named(lease), "result_": kept, "now_": now})
    if not moved:
        raise _lost(lease)
    settle(tx, moved[0], good=True)


@cache
def _finishing() -> Any:
    change = {"result": bindparam("result_"), "error": "", "trace": "", "ended": _NOW, "due": None}
    return moving(_HELD, ["leased"], "done", **change)


def fail(
    tx: Tx,
    lease: Lease,
    error: str,
    *,
    retry: bool,
    now: float,
    trace: str = "",
    wait_s: float | None = None,
) -> str:
    """Note that an attempt failed; return the task's new state.

    ``ready`` if another attempt is left and ``retry`` allows it, ``cancelled`` if it was asked
    to stop, else ``failed``. The next attempt is due after ``wait_s``, or after the task's own
    backoff, doubled with each attempt.

    Raises:
        LeaseLostError: if another worker owns the task by now.
    """
    row = tx.one(select(tasks.c.stop).where(_held(lease)).with_for_update())
    if row is None:
        raise _lost(lease)
    note: dict[str, Any] = {"error": error, "trace": trace, "ended": now, "owner": None}
    state = "failed"
    if row.stop:
        state = "cancelled"
    elif retry and lease.attempt < lease.task.last_attempt:
        state = "ready"
        doubled = lease.task.backoff_s * 2.0 ** min(lease.attempt - 1, 30)
        note["due"] = now + (min(doubled, BACKOFF_MAX_S) if wait_s is None else wait_s)
    for moved in move(tx, _held(lease), ["leased"], state, **note):
        if state != "ready":
            settle(tx, moved, good=False)
    return state


def release(tx: Tx, lease: Lease, now: float) -> str:
    """Give a task back unharmed, because its worker ends; return the task's new state.

    The attempt does not count. A task that was asked to stop is ``cancelled`` instead.

    Raises:
        LeaseLostError: if another worker owns the task by now.
    """
    again = {"owner": None, "last_attempt": tasks.c.last_attempt + 1}
    if move(tx, and_(_held(lease), not_(tasks.c.stop)), ["leased"], "ready", **again):
        return "ready"
    return fail(tx, lease, "It was cancelled.", retry=False, now=now)


def expire(tx: Tx, now: float) -> list[Task]:
    """End the tasks whose last attempt's worker died, or died when asked to stop."""
    lost = _expired(tx.lease_now())
    ended = [
        *move(tx, and_(lost, tasks.c.stop), ["leased"], "cancelled", owner=None, ended=now),
        *move(
            tx,
            and_(lost, tasks.c.attempt >= tasks.c.last_attempt),
            ["leased"],
            "failed",
            error="Its worker died, on its last attempt.",
            owner=None,
            ended=now,
        ),
    ]
    for row in ended:
        settle(tx, row, good=False)
    return [task_of(row) for row in ended]


def orphaned(tx: Tx) -> list[str]:
    """Return the owners of leases whose process is surely dead; it writes nothing."""
    owners = tx.all(select(tasks.c.owner).where(tasks.c.state == "leased").distinct())
    return [row.owner for row in owners if row.owner and living.is_dead(row.owner)]


def orphan(tx: Tx, owners: Collection[str]) -> int:
    """Let the leases of dead owners have run out: nobody waits for who cannot come back."""
    mine = and_(tasks.c.state == "leased", tasks.c.owner.in_(list(owners)))
    return tx.run(update(tasks).where(mine).values(lease_until=tx.lease_now() - 1.0))


def held(tx: Tx, group: str) -> bool:
    """Return whether somebody who may be alive works on a task of a group."""
    mine = and_(tasks.c.group == group, tasks.c.state == "leased", not_(_expired(tx.lease_now())))
    return tx.one(select(tasks.c.id).where(mine).limit(1)) is not None


def expired(tx: Tx) -> bool:
    """Return whether any lease has run out."""
    return tx.one(_any_expired(), {"lease_now_": tx.lease_now()}) is not None


@cache
def _any_expired() -> Any:
    return select(tasks.c.id).where(_expired(_LEASE_NOW)).limit(1)


def _clocks(tx: Tx, now: float) -> dict[str, Any]:
    return {"now_": now, "lease_now_": tx.lease_now()}


def _expired(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Leased, and the lease has run out or was given before the machine's last boot.

    The lease clock of SQLite starts at boot, so a lease that began in the future is an old one.
    """
    begun = tasks.c.lease_until - tasks.c.lease_s
    return and_(tasks.c.state == "leased", or_(tasks.c.lease_until <= now, begun > now))


def _wanted(
    grouped: bool, kinds: Collection[str] | None, leaves: Collection[str]
) -> list[ColumnElement[bool]]:
    found = [tasks.c.group == bindparam("group_")] if grouped else []
    if kinds is not None:
        found.append(tasks.c.kind.in_(list(kinds)))
    if leaves:
        found.append(tasks.c.kind.not_in(list(leaves)))
    return found


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        tasks.c.id == lease.task.id,
        tasks.c.owner == lease.owner,
        tasks.c.attempt == lease.attempt,
        tasks.c.state == "leased",
    )


def _named(lease: Lease) -> dict[str, Any]:
    """Return what fills the places of ``_HELD``."""
    return {"id_": lease.task.id, "owner_": lease.owner, "attempt_": lease.attempt}


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(
        f"{lease.owner} does not hold task {lease.task.id} (attempt {lease.attempt}) any more;"
        " its result is dropped."
    )
