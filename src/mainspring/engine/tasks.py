"""Keep work until it is done: keyed tasks that wait for each other.

The verbs of a worker (claim, renew, finish, fail) are in :mod:`leases`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, and_, bindparam, func, not_, or_, select, update

from mainspring.engine import pools
from mainspring.engine.inserting import insert_or_leave
from mainspring.engine.moves import BROKEN as BROKEN
from mainspring.engine.moves import FINAL as FINAL
from mainspring.engine.moves import OPEN as OPEN
from mainspring.engine.moves import count_children_down
from mainspring.engine.moves import count_down as count_down
from mainspring.engine.moves import move as move
from mainspring.engine.moves import moving as moving
from mainspring.engine.tables import edges, tasks
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Tx

_MOST_NAMED = 500  # SQLite takes a bounded number of variables


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """Work to be done, as whoever wants it done describes it."""

    id: str  #: submitting the same id again changes nothing
    kind: str  #: which handler does it
    payload: dict[str, Any] = {}
    group: str | None = None  #: what is cancelled, retried and awaited together
    needs: list[str] = []  #: ids of tasks that must be done before
    anyhow: list[str] = []  #: ids of tasks that must have ended before, well or not
    before: list[str] = []  #: ids of waiting tasks that shall wait for this one's end, too
    always: bool = False  #: runs once its needs are final, however they ended
    max_attempts: int = 3
    backoff_s: float = 1.0  #: before the second attempt; doubles with each
    priority: int = 0  #: higher goes first
    due: float | None = None  #: wall time before which nobody takes it
    pool: str | None = None  #: of all lots of tasks with this name ...
    pool_size: int | None = None  #: ... at most so many have begun and not ended
    lot: int = 0  #: which of the pool's; lower ones begin first


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Work as it stands."""

    id: str
    kind: str
    payload: dict[str, Any]
    group: str | None
    state: str
    always: bool
    priority: int
    due: float | None
    attempt: int
    last_attempt: int
    max_attempts: int
    backoff_s: float
    owner: str | None
    stop: bool
    result: dict[str, Any] | None
    error: str
    trace: str
    started: float | None
    ended: float | None


class Lease(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The right to work on a task, for as long as it is renewed."""

    task: Task
    owner: str
    attempt: int
    stop: threading.Event = msgspec.field(default_factory=threading.Event)
    opened: Any = None  #: what its kind's ``Opener`` made of it in the transaction that took it

    def cancelled(self) -> bool:
        """Return whether to stop: the task was cancelled, the lease lost or the engine ends."""
        return self.stop.is_set()


def submit(tx: Tx, new: Iterable[NewTask]) -> int:
    """Add tasks and return how many were new; ids that exist are left as they are.

    A need may stand anywhere in the same call or be a task that exists already.

    Raises:
        BadInputError: if a need is unknown.
        ConflictError: if a task that it shall go before does not wait any more.
    """
    wanted = {task.id: task for task in new}
    there_already = known(tx, list(wanted))
    fresh = [task for task in wanted.values() if task.id not in there_already]
    if not fresh:
        return 0
    needed = {need for task in fresh for need in (*task.needs, *task.anyhow)}
    # FOR UPDATE, or a parent could finish between our look at it and the child's first row.
    there = _states(tx, sorted(needed))
    unknown = needed - there.keys() - {task.id for task in fresh}
    if unknown:
        raise BadInputError(f"Task {min(unknown)!r} is needed but does not exist.", field="needs")
    tx.run(insert_or_leave(tx, tasks), [_row(task, there) for task in fresh])
    pairs = [pair for task in fresh for pair in _pairs(task)]
    if pairs:
        tx.run(insert_or_leave(tx, edges), pairs)
    for one, more in Counter(one for task in fresh for one in set(task.before)).items():
        wait_more(tx, one, more)
    for need in (need for need, state in there.items() if state in BROKEN):
        _skip_children(tx, need)
    pools.admit(tx, fresh)
    return len(fresh)


def wait_more(tx: Tx, task_id: str, more: int) -> None:
    """Let a waiting task wait for so many more.

    Raises:
        ConflictError: if it does not wait.
    """
    waiting = and_(tasks.c.id == task_id, tasks.c.state == "waiting")
    if not tx.run(update(tasks).where(waiting).values(unfinished=tasks.c.unfinished + more)):
        raise ConflictError(f"Task {task_id} does not wait any more.", field="before")


def join(tx: Tx, task_id: str, needs: Collection[str]) -> int:
    """Let a waiting task wait for the end of tasks that are there; return how many still go on.

    Raises:
        BadInputError: if one of them is unknown.
    """
    wanted = list(dict.fromkeys(needs))
    if not wanted:
        return 0
    there = _states(tx, wanted)
    unknown = set(wanted) - there.keys()
    if unknown:
        raise BadInputError(f"Task {min(unknown)!r} is needed but does not exist.", field="needs")
    pairs = [{"task": task_id, "needs": need, "anyhow": True} for need in wanted]
    tx.run(insert_or_leave(tx, edges), pairs)
    open_ = sum(state not in FINAL for state in there.values())
    if open_:
        wait_more(tx, task_id, open_)
    return open_


def tell(tx: Tx, task_id: str, result: dict[str, Any], now: float) -> bool:
    """End a task that nobody works on, for what it stood for has come; return whether it did.

    Such a task is due far in the future, or when its news is given up. News that come then are
    too late, also if no worker has taken it yet.
    """
    kept = canonical(result).decode()
    in_time = and_(tasks.c.id == task_id, not_(due(now)))
    told = move(tx, in_time, ["ready"], "done", result=kept, ended=now, due=None)
    for row in told:
        settle(tx, row, good=True)
    return bool(told)


def put_off(tx: Tx, task_id: str, until: float, now: float) -> bool:
    """Let a task that nobody works on be due later; return whether it was in time for that."""
    mine = and_(tasks.c.id == task_id, tasks.c.state == "ready", not_(due(now)))
    return bool(tx.run(update(tasks).where(mine).values(due=until)))


def awaited(tx: Tx, group: str) -> list[str]:
    """Return the other groups that a group's waiting tasks wait for, or those wait for."""
    found = [group]
    for one in found:
        rows = tx.all(_awaiting(), {"group_": one})
        found += [row.group for row in rows if row.group not in found]
    return found[1:]


@cache
def _awaiting() -> Any:
    child, parent, mine = tasks.alias(), tasks.alias(), bindparam("group_", type_=String)
    return (
        select(parent.c.group)
        .distinct()
        .select_from(child)
        .join(edges, edges.c.task == child.c.id)
        .join(parent, parent.c.id == edges.c.needs)
        .where(child.c.group == mine, child.c.state == "waiting", parent.c.group != mine)
        .where(parent.c.state.not_in(FINAL))
    )


def asleep(tx: Tx, groups: Collection[str], now: float) -> bool:
    """Return whether nothing of these groups can be done before ``now``: all of it waits."""
    later = and_(tasks.c.attempt == 0, not_(due(now)))
    busy = or_(tasks.c.state == "leased", and_(tasks.c.state == "ready", not_(later)))
    query = select(tasks.c.id).where(tasks.c.group.in_(list(groups)), busy)
    return tx.one(query.limit(1)) is None


def _pairs(task: NewTask) -> list[dict[str, Any]]:
    """Return the edges of a new task; what it needs done is not what it needs ended."""
    firm = [{"task": task.id, "needs": n, "anyhow": False} for n in dict.fromkeys(task.needs)]
    only = dict.fromkeys(n for n in task.anyhow if n not in task.needs)
    loose = [{"task": task.id, "needs": n, "anyhow": True} for n in only]
    later = dict.fromkeys(task.before)
    return [*firm, *loose, *({"task": b, "needs": task.id, "anyhow": True} for b in later)]


def _row(task: NewTask, there: Mapping[str, str]) -> dict[str, Any]:
    every = {*task.needs, *task.anyhow}
    unfinished = sum(there.get(need) not in FINAL for need in every) + (task.pool is not None)
    lost = not task.always and any(there.get(need) in BROKEN for need in task.needs)
    return {
        "id": task.id,
        "kind": task.kind,
        "payload": canonical(task.payload).decode(),
        "group": task.group,
        "state": "waiting" if unfinished or lost else "ready",
        "always": task.always,
        "priority": task.priority,
        "due": task.due,
        "unfinished": unfinished,
        "attempt": 0,
        "last_attempt": task.max_attempts,
        "max_attempts": task.max_attempts,
        "backoff_s": task.backoff_s,
        "stop": False,
        "error": "",
        "trace": "",
        "pool": task.pool,
        "pool_size": task.pool_size,
        "lot": task.lot,
        "held": task.pool is not None,
    }


def cancel(tx: Tx, group: str) -> int:
    """Stop the tasks of a group and return how many were touched.

    What has not begun is cancelled at once, what runs is asked to stop. ``always`` tasks still
    run: they are what notes the end.
    """
    return _stop(tx, and_(tasks.c.group == group, not_(tasks.c.always)))


def stop(tx: Tx, ids: Sequence[str]) -> int:
    """Stop some tasks, as :func:`cancel` does those of a group."""
    parts = range(0, len(ids), _MOST_NAMED)
    return sum(_stop(tx, tasks.c.id.in_(ids[start : start + _MOST_NAMED])) for start in parts)


def _stop(tx: Tx, which: ColumnElement[bool]) -> int:
    # What is at work first: who ends such a task holds its row, and then wants its children's.
    flag = update(tasks).where(which, tasks.c.state == "leased", not_(tasks.c.stop))
    asked = tx.run(flag.values(stop=True))
    gone = move(
        tx, which, ["waiting", "ready"], "cancelled", error="It was cancelled.", owner=None
    )
    for row in gone:
        settle(tx, row, good=False)
    return len(gone) + asked


def group_state(tx: Tx, group: str) -> dict[str, int]:
    """Return how many tasks of a group are in each state that occurs."""
    query = select(tasks.c.state, func.count().label("n")).where(tasks.c.group == group)
    return {row.state: int(row.n) for row in tx.all(query.group_by(tasks.c.state))}


def all_final(tx: Tx, group: str) -> bool:
    """Return whether nothing of a group is left to do."""
    return tx.one(_unended(), {"group_": group}) is None


@cache
def _unended() -> Any:
    mine = tasks.c.group == bindparam("group_")
    # Named, so that the index finds them: of a wide run nearly all is final.
    return select(tasks.c.id).where(mine, tasks.c.state.in_(OPEN)).limit(1)


def unsettled(tx: Tx, now: float, *, grouped: bool = True) -> bool:
    """Return whether any task is still to be done.

    A task that was never tried and is due later does not count, nor what waits for it; one that
    failed and waits for its next attempt does. Without ``grouped`` the tasks of groups (the
    steps of runs) are passed over: what remains is what scans found and loops commanded.
    """
    later = and_(tasks.c.state == "ready", tasks.c.attempt == 0, not_(due(now)))
    query = select(tasks.c.id).where(tasks.c.state.in_(["ready", "leased"]))
    if not grouped:
        query = query.where(tasks.c.group.is_(None))
    return tx.one(query.where(not_(later)).limit(1)) is not None


def known(tx: Tx, ids: Collection[str]) -> set[str]:
    """Return which of these ids were submitted already."""
    wanted, found = list(ids), set()
    for start in range(0, len(wanted), _MOST_NAMED):
        part = tasks.c.id.in_(wanted[start : start + _MOST_NAMED])
        found |= {row.id for row in tx.all(select(tasks.c.id).where(part))}
    return found


def _states(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """Return the states of tasks, none of which then moves until this transaction has ended."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), _MOST_NAMED):
        part = tasks.c.id.in_(ids[start : start + _MOST_NAMED])
        rows = tx.all(select(tasks.c.id, tasks.c.state).where(part).with_for_update())
        found |= {row.id: row.state for row in rows}
    return found


def over(tx: Tx, ids: Collection[str]) -> dict[str, bool]:
    """Return which of these ids were submitted, and whether each is final."""
    found: dict[str, bool] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), _MOST_NAMED):
        part = tasks.c.id.in_(wanted[start : start + _MOST_NAMED])
        rows = tx.all(select(tasks.c.id, tasks.c.state).where(part))
        found |= {row.id: row.state in FINAL for row in rows}
    return found


def get(tx: Tx, task_id: str) -> Task | None:
    """Return one task as it stands."""
    row = tx.one(select(tasks).where(tasks.c.id == task_id))
    return None if row is None else task_of(row)


def newest_error(tx: Tx, group: str) -> str:
    """Return what went wrong last in a group; empty where nothing did."""
    wrong = (tasks.c.group == group) & (tasks.c.error != "")
    row = tx.one(select(tasks.c.error).where(wrong).order_by(tasks.c.ended.desc()).limit(1))
    return "" if row is None else str(row.error)


def list_tasks(tx: Tx, group: str) -> list[Task]:
    """Return the tasks of a group in the order they were submitted."""
    query = select(tasks).where(tasks.c.group == group).order_by(tasks.c.seq)
    return [task_of(row) for row in tx.all(query)]


def settle(tx: Tx, ended: Any, *, good: bool) -> None:
    """Tell what waits for a task that it is final: skip it, or count down what it waits for.

    ``ended`` is the task's row. The next of its pool begins if it was the last of its lot.
    """
    if not good:
        _skip_children(tx, ended.id)
    count_children_down(tx, ended.id)
    pools.leave(tx, ended)


def _skip_children(tx: Tx, task_id: str) -> None:
    firm = and_(edges.c.needs == task_id, not_(edges.c.anyhow))
    children = select(edges.c.task).where(firm)
    lost = and_(tasks.c.id.in_(children), not_(tasks.c.always))
    for row in move(tx, lost, ["waiting"], "skipped", error=f"{task_id} before it is not done."):
        settle(tx, row, good=False)


def due(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Return the condition that a task may be taken at wall time ``now``."""
    return or_(tasks.c.due.is_(None), tasks.c.due <= now)


def task_of(row: Any) -> Task:
    """Return the record that a row of ``tasks`` holds."""
    values = {name: getattr(row, name) for name in Task.__struct_fields__}
    values["payload"] = msgspec.json.decode(row.payload)
    values["result"] = None if row.result is None else msgspec.json.decode(row.result)
    return Task(**values)
