"""Fire what a clock asks for: each fire time once, whoever looks, and one after the other.

A schedule's row says up to which fire time it was dealt with; an engine takes what is due by
moving that on, so that of two that look at the same moment one fires. What became of a fire time
is kept in ``firings``: it fired, it waits in a queue for the run before it, or it was skipped and
why. The task of a firing is called by its schedule and fire time, so it is submitted once.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, and_, func, select, update

from mainspring.engine import tasks
from mainspring.engine.firetimes import Schedule, newest, times
from mainspring.engine.inserting import insert
from mainspring.engine.reactor import emit, view
from mainspring.engine.schedules import Standing, get, standing_of
from mainspring.engine.tables import firings, schedules
from mainspring.engine.tasks import FINAL, NewTask, submit
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.ports import Tx

COUNT_MOST = 1000  # missed fire times are counted that far
QUEUE_MOST = 1000  # more than that nobody waits for
BACKFILL_MOST = 1000
#: With catch-up "skip" a fire time may be so late: an engine that restarts is no downtime.
LATE_S = 60.0
#: A clock that stood in the far future and was set back must not silence a schedule.
_JUMP_S = 86_400.0

Outcome = Literal["fired", "queued", "skipped"]


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A fire time, and what becomes of it."""

    schedule: Schedule
    fire_at: float
    missed: int = 0  #: earlier fire times that nobody was there for
    outcome: Outcome = "fired"
    why: str = ""  #: it was skipped
    by: str | None = None  #: who asked for it by hand; None: the clock

    @property
    def key(self) -> str:
        """Return the id of the task that it starts."""
        return key_of(self.schedule.name, self.fire_at)


def key_of(schedule: str, fire_at: float) -> str:
    """Return the id of a firing's task, which is the cause of the run it starts.

    >>> key_of("nightly", 9000.0)
    'schedule:nightly:9000'
    """
    return f"schedule:{schedule}:{fire_at:.0f}"


# ---------------------------------------------------------------- the clock


def due(tx: Tx, now: float) -> list[Firing]:
    """Return what is to be dealt with now: fire times, and what may leave its queue."""
    found = []
    for row in tx.all(select(schedules)):
        one = standing_of(row)
        found += _due(tx, one, now)
        if (waiting := _next_queued(tx, one)) is not None:
            found.append(waiting)
    return found


def fire(tx: Tx, now: float) -> int:
    """Deal with what is due, each fire time once; return how many fired."""
    fired = 0
    for row in tx.all(select(schedules)):
        one = standing_of(row)
        found = _due(tx, one, now)
        if found and _claimed(tx, one, found[-1].fire_at):
            fired += sum(_keep(tx, firing, now) for firing in found)
        while (waiting := _next_queued(tx, one)) is not None:
            if not _leave_queue(tx, waiting, now):
                break
            fired += 1
    return fired


def _due(tx: Tx, one: Standing, now: float) -> list[Firing]:
    """Return the fire times of one schedule that nobody dealt with, as its rules say."""
    schedule = one.schedule
    if one.paused is not None:
        return []
    after = _after(tx, one, now)
    first = next(times(schedule, after), math.inf)
    if first > now:
        return []
    limit = schedule.most if schedule.catch_up == "all" else 1
    found = newest(schedule, after, now, COUNT_MOST + limit)
    chosen, missed = found[-limit:], len(found[:-limit])
    late = schedule.catch_up == "skip" and now - chosen[-1] > LATE_S
    return [
        Firing(
            schedule=schedule,
            fire_at=at,
            missed=missed if number == 0 else 0,
            outcome="skipped" if late else "fired",
            why=f"nobody was there: it was {now - at:.0f} s late" if late else "",
        )
        for number, at in enumerate(chosen)
    ]


def _after(tx: Tx, one: Standing, now: float) -> float:
    """Return the time after which fire times are still to be dealt with."""
    seen = one.seen
    if seen is None:  # of a release that kept no more than firings
        of_it = (firings.c.schedule == one.schedule.name) & firings.c.by.is_(None)
        row = tx.one(select(func.max(firings.c.fire_at).label("at")).where(of_it))
        seen = None if row is None else row.at
    if seen is not None and seen > now + _JUMP_S:
        seen = now - LATE_S
    return max(one.since, one.since if seen is None else seen)


def _claimed(tx: Tx, one: Standing, upto: float) -> bool:
    """Move a schedule on, unless another engine has done so since it was read."""
    column = schedules.c.seen
    before = column.is_(None) if one.seen is None else column == one.seen
    same = and_(schedules.c.name == one.schedule.name, before, schedules.c.since == one.since)
    return bool(tx.run(update(schedules).where(same).values(seen=upto)))


def _keep(tx: Tx, firing: Firing, now: float) -> bool:
    """Write down what becomes of a fire time, and start its work; return whether it fired."""
    if firing.outcome == "fired":
        firing = _in_turn(tx, firing)
    if firing.outcome == "fired" and (said := _said_before(tx, firing.key)):
        firing = msgspec.structs.replace(firing, outcome="skipped", why=said)
    if not _insert(tx, firing, now):
        return False
    if firing.outcome != "fired":
        return False
    _start(tx, firing)
    return True


def _said_before(tx: Tx, key: str) -> str:
    """Return why a firing's task cannot start again; empty where there is none of that name."""
    return "it had fired before" if tasks.known(tx, [key]) else ""


def _in_turn(tx: Tx, firing: Firing) -> Firing:
    """Return the firing as it stands beside the run before it."""
    schedule = firing.schedule
    if schedule.overlap == "allow" or schedule.kind == "retrain":
        return firing
    queue = _queue_length(tx, schedule.name)
    goes_on = _goes_on(tx, schedule.name)
    if goes_on is None:
        tx.run(update(firings).where(_open_of(schedule.name)).values(open=False))
    if goes_on is None and not queue:
        return firing
    if schedule.overlap == "skip" and firing.by is None:
        why = goes_on or f"{queue} firings wait before it"
        return msgspec.structs.replace(firing, outcome="skipped", why=why)
    if queue >= QUEUE_MOST:
        why = f"{queue} firings wait already"
        return msgspec.structs.replace(firing, outcome="skipped", why=why)
    return msgspec.structs.replace(firing, outcome="queued")


def _insert(tx: Tx, firing: Firing, now: float) -> bool:
    row = {
        "schedule": firing.schedule.name,
        "fire_at": firing.fire_at,
        "fired": now,
        "missed": firing.missed,
        "outcome": firing.outcome,
        "why": firing.why,
        "by": firing.by,
        "open": firing.outcome == "fired",
    }
    query = insert(tx, firings).values(**row).on_conflict_do_nothing().returning(firings.c.fire_at)
    return tx.one(query) is not None


def _start(tx: Tx, firing: Firing) -> None:
    schedule, fire_at = firing.schedule, firing.fire_at
    if schedule.kind == "retrain":
        # The loop's own time: its traffic may be a replay of years ago, and cron is wall time.
        loop = schedule.payload["loop"]
        at = view(tx, loop).now or fire_at
        reason = f"{schedule.words}, due {iso(fire_at)}"
        if firing.missed:
            reason += f", also standing for {firing.missed} missed before it"
        asked = m.RetrainRequested(loop=loop, at=at, by=f"schedule {schedule.name}", reason=reason)
        emit(tx, asked, firing.key)
        return
    payload = {**schedule.payload, "schedule": schedule.name, "fire_at": fire_at}
    when = fire_at + jitter(schedule, fire_at) if schedule.jitter_s else None
    submit(tx, [NewTask(id=firing.key, kind=schedule.kind, payload=payload, due=when)])


def jitter(schedule: Schedule, fire_at: float) -> float:
    """Return how much later than its fire time the work begins: the same for whoever asks.

    >>> 0 <= jitter(Schedule(name="n", cron="0 0 * * *", jitter_s=60.0), 86400.0) < 60
    True
    """
    digest = hashlib.sha256(key_of(schedule.name, fire_at).encode()).digest()
    return schedule.jitter_s * int.from_bytes(digest[:4]) / 2**32


# ---------------------------------------------------------------- one after the other


def _open_of(name: str) -> ColumnElement[bool]:
    return and_(firings.c.schedule == name, firings.c.open)


def _goes_on(tx: Tx, name: str) -> str | None:
    """Return in words what a schedule started and is not over; None if nothing is."""
    rows = tx.all(select(firings.c.fire_at).where(_open_of(name)).order_by(firings.c.fire_at))
    for row in rows:
        why = at_work(tx, key_of(name, row.fire_at), f"of {iso(row.fire_at)}")
        if why is not None:
            return why
    return None


def at_work(tx: Tx, task_id: str, called: str) -> str | None:
    """Return in words that a task which starts a run, or its run, is not over; else None."""
    task = tasks.get(tx, task_id)
    if task is None:
        return None
    if task.state not in FINAL:
        return f"the firing {called} has not begun its run yet"
    run = (task.result or {}).get("run")
    return f"run {run} {called} goes on" if run and not tasks.all_final(tx, run) else None


def _queue_length(tx: Tx, name: str) -> int:
    mine = and_(firings.c.outcome == "queued", firings.c.schedule == name)
    row = tx.one(select(func.count().label("n")).where(mine))
    return 0 if row is None else int(row.n)


def _next_queued(tx: Tx, one: Standing) -> Firing | None:
    """Return the oldest firing that waits and may begin."""
    if one.paused is not None:
        return None
    name = one.schedule.name
    mine = and_(firings.c.outcome == "queued", firings.c.schedule == name)
    row = tx.one(select(firings).where(mine).order_by(firings.c.fire_at).limit(1))
    if row is None or (one.schedule.overlap != "allow" and _goes_on(tx, name) is not None):
        return None
    return Firing(schedule=one.schedule, fire_at=row.fire_at, missed=row.missed, by=row.by)


def _leave_queue(tx: Tx, firing: Firing, now: float) -> bool:
    """Start what waited, unless another engine has."""
    name = firing.schedule.name
    tx.run(update(firings).where(_open_of(name)).values(open=False))
    here = and_(
        firings.c.schedule == name,
        firings.c.fire_at == firing.fire_at,
        firings.c.outcome == "queued",
    )
    change = update(firings).where(here).values(outcome="fired", fired=now, open=True)
    if not tx.run(change):
        return False
    _start(tx, firing)
    return True


# ---------------------------------------------------------------- by hand


class Backfilled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the fire times of a span that was made up for by hand."""

    asked: int  #: fire times in the span
    begun: int  #: of them: these run or wait for their turn
    before: int  #: of them: these had fired before


def run_now(tx: Tx, name: str, by: str, now: float) -> Firing:
    """Fire a schedule by hand, paused or not; what the clock does stays as it is.

    Raises:
        NotFoundError: if there is no such schedule.
        ConflictError: if its last run goes on, and it lets none wait.
    """
    one = get(tx, name)
    at = float(int(now))
    while tx.one(select(firings.c.fire_at).where(_here(name, at))) is not None:
        at += 1.0
    goes_on = _goes_on(tx, name)
    if one.schedule.overlap == "skip" and goes_on is not None:
        raise ConflictError(
            f"{name} runs one at a time, and {goes_on}.",
            field="name",
            hint="Wait for it to end, or let firings wait: --overlap queue",
        )
    firing = _in_turn(tx, Firing(schedule=one.schedule, fire_at=at, by=by))
    _insert(tx, firing, now)
    if firing.outcome == "fired":
        _start(tx, firing)
    return firing


def backfill(tx: Tx, name: str, begin: float, end: float, by: str, now: float) -> Backfilled:
    """Run what should have fired from ``begin`` to ``end`` and has not, oldest first.

    Raises:
        NotFoundError: if there is no such schedule.
        BadInputError: if the span lies in the future, is empty or holds too many fire times.
    """
    one = get(tx, name)
    if not begin <= end <= now:
        raise BadInputError(
            f"A span to make up for ends in the past and after its begin, found {iso(begin)} to"
            f" {iso(end)}.",
            field="to",
        )
    found = newest(one.schedule, math.nextafter(begin, -math.inf), end, BACKFILL_MOST + 1)
    if len(found) > BACKFILL_MOST:
        raise BadInputError(
            f"More than {BACKFILL_MOST} fire times lie in this span.",
            field="from",
            hint="Make up for it in parts.",
        )
    begun = 0
    for at in found:
        tx.run(
            firings.delete().where(and_(_here(name, at), firings.c.outcome == "skipped"))
        )  # what was skipped is made up for now
        firing = Firing(schedule=one.schedule, fire_at=at, by=by)
        if tx.one(select(firings.c.fire_at).where(_here(name, at))) is None:
            begun += not _said_before(tx, firing.key) and _made_up(tx, firing, now)
    return Backfilled(asked=len(found), begun=begun, before=len(found) - begun)


def _made_up(tx: Tx, firing: Firing, now: float) -> bool:
    firing = _in_turn(tx, firing)
    if firing.outcome == "skipped" or not _insert(tx, firing, now):
        return False
    if firing.outcome == "fired":
        _start(tx, firing)
    return True


def _here(name: str, fire_at: float) -> ColumnElement[bool]:
    return and_(firings.c.schedule == name, firings.c.fire_at == fire_at)


# ---------------------------------------------------------------- what became of them


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A fire time that was dealt with."""

    fire_at: float
    fired: float  #: when it was dealt with
    missed: int
    outcome: Outcome
    why: str
    by: str | None
    task: str
    run: str | None = None  #: the run it started


def past(tx: Tx, name: str, limit: int = 20) -> list[Past]:
    """Return the newest firings of a schedule, the newest first, with the runs they started."""
    query = select(firings).where(firings.c.schedule == name)
    rows = tx.all(query.order_by(firings.c.fire_at.desc()).limit(limit))
    return [_past(row, tasks.get(tx, key_of(name, row.fire_at))) for row in rows]


def _past(row: Any, task: tasks.Task | None) -> Past:
    lost = task is not None and task.state in tasks.BROKEN
    return Past(
        fire_at=row.fire_at,
        fired=row.fired,
        missed=row.missed,
        outcome=row.outcome or "fired",
        why=task.error if task is not None and lost else (row.why or ""),
        by=row.by,
        task=key_of(row.schedule, row.fire_at),
        run=None if task is None else (task.result or {}).get("run"),
    )
