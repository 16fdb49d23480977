"""Keep what fires when: schedules declared, paused, resumed and forgotten.

When they fire is said in :mod:`firetimes`; that they do is the work of :mod:`firing`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, select, update

from mainspring.engine.firetimes import Schedule as Schedule
from mainspring.engine.firetimes import check
from mainspring.engine.firetimes import last_before as last_before
from mainspring.engine.firetimes import upcoming as upcoming
from mainspring.engine.inserting import insert
from mainspring.engine.tables import firings, schedules
from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.nearest import meant
from mainspring.ground.ports import Tx

_RULES = ("every_s", "anchor", "start", "end", "catch_up", "most", "overlap", "jitter_s")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands."""

    schedule: Schedule
    since: float  #: nothing before it fires
    seen: float | None  #: the newest fire time that was dealt with
    paused: float | None  #: since when it rests


def put(tx: Tx, schedule: Schedule, now: float) -> None:
    """Declare a schedule, or declare it anew; nothing before ``now`` fires.

    Raises:
        BadInputError: if the cron expression, the time zone or the name cannot be used.
    """
    check_name(schedule.name, "schedule")
    check(schedule, now)
    rules = {name: getattr(schedule, name) for name in _RULES}
    row = {
        "cron": schedule.cron,
        "tz": schedule.tz,
        "kind": schedule.kind,
        "payload": canonical(schedule.payload).decode(),
        "since": now,
        "rules": canonical(rules).decode(),
    }
    query = insert(tx, schedules).values(name=schedule.name, **row)
    tx.run(query.on_conflict_do_update(index_elements=["name"], set_=row))


def remove(tx: Tx, name: str) -> bool:
    """Forget a schedule and what waits in its queue; return whether there was one."""
    queued = (firings.c.schedule == name) & (firings.c.outcome == "queued")
    tx.run(update(firings).where(queued).values(outcome="skipped", why="the schedule was removed"))
    return bool(tx.run(delete(schedules).where(schedules.c.name == name)))


def pause(tx: Tx, name: str, now: float) -> None:
    """Let a schedule rest: neither the clock nor its queue starts anything.

    Raises:
        NotFoundError: if there is no such schedule.
    """
    get(tx, name)
    resting = (schedules.c.name == name) & schedules.c.paused.is_(None)
    tx.run(update(schedules).where(resting).values(paused=now))


def resume(tx: Tx, name: str, now: float) -> None:
    """Let a schedule fire again from now on; what came while it rested is not made up for.

    Raises:
        NotFoundError: if there is no such schedule.
    """
    get(tx, name)
    resting = (schedules.c.name == name) & schedules.c.paused.is_not(None)
    tx.run(update(schedules).where(resting).values(paused=None, since=now))


def get(tx: Tx, name: str) -> Standing:
    """Return one schedule as it stands.

    Raises:
        NotFoundError: if there is no such schedule.
    """
    row = tx.one(select(schedules).where(schedules.c.name == name))
    if row is None:
        known = [one.name for one in tx.all(select(schedules.c.name).order_by(schedules.c.name))]
        raise NotFoundError(
            f"There is no schedule {name[:80]!r}.", field="name", hint=meant(name, known)
        )
    return standing_of(row)


def every(tx: Tx) -> list[Standing]:
    """Return every schedule as it stands, by name."""
    return [standing_of(row) for row in tx.all(select(schedules).order_by(schedules.c.name))]


def list_schedules(tx: Tx) -> list[Schedule]:
    """Return every schedule, by name."""
    return [one.schedule for one in every(tx)]


def standing_of(row: Any) -> Standing:
    """Return what a row of ``schedules`` says."""
    rules = {} if row.rules is None else msgspec.json.decode(row.rules)
    told = {
        "name": row.name,
        "cron": row.cron,
        "tz": row.tz,
        "kind": row.kind,
        "payload": msgspec.json.decode(row.payload),
    }
    return Standing(
        schedule=msgspec.convert(told | rules, Schedule),
        since=row.since,
        seen=row.seen,
        paused=row.paused,
    )
