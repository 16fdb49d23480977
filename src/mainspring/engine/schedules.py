"""Fire what a clock asks for: cron rows, each fire time once, whoever looks.

A fire time is ``(schedule, fire_at)`` and unique in the table of firings, so two engines that
look at the same moment fire it once. After downtime the latest missed time fires, once, and
the firing says how many it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError
from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mainspring.engine.reactor import emit, view
from mainspring.engine.tables import firings, schedules
from mainspring.engine.tasks import NewTask, submit
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.ports import Tx

FIELDS = 5  # a sixth would be seconds, which nobody looks often enough for
COUNT_MOST = 1000  # missed fire times are counted that far


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What fires when. Times are those of its time zone, daylight saving included."""

    name: str
    cron: str  #: five fields, such as "30 2 * * 1"
    tz: str = "UTC"
    kind: str = "retrain"  #: "retrain" asks the loop in payload["loop"]; else a task's kind
    payload: dict[str, Any] = {}


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A fire time that is due."""

    schedule: Schedule
    fire_at: float
    missed: int  #: earlier fire times that nobody was there for


def put(tx: Tx, schedule: Schedule, now: float) -> None:
    """Declare a schedule, or declare it anew; nothing before ``now`` fires.

    Raises:
        BadInputError: if the cron expression, the time zone or the name cannot be used.
    """
    check_name(schedule.name, "schedule")
    _times(schedule, now)
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = {
        "cron": schedule.cron,
        "tz": schedule.tz,
        "kind": schedule.kind,
        "payload": canonical(schedule.payload).decode(),
        "since": now,
    }
    query = insert(schedules).values(name=schedule.name, **row)
    tx.run(query.on_conflict_do_update(index_elements=["name"], set_=row))


def remove(tx: Tx, name: str) -> bool:
    """Forget a schedule; return whether there was one."""
    return bool(tx.run(delete(schedules).where(schedules.c.name == name)))


def list_schedules(tx: Tx) -> list[Schedule]:
    """Return every schedule, by name."""
    return [_schedule(row) for row in tx.all(select(schedules).order_by(schedules.c.name))]


def upcoming(schedule: Schedule, now: float, count: int = 1) -> list[float]:
    """Return the next fire times after ``now``.

    >>> upcoming(Schedule(name="nightly", cron="30 2 * * *"), 0.0)
    [9000.0]
    """
    times = _times(schedule, now)
    return [next(times).timestamp() for _ in range(count)]


def due(tx: Tx, now: float) -> list[Firing]:
    """Return the latest fire time of each schedule that nobody has fired; it writes nothing."""
    last = select(firings.c.schedule, func.max(firings.c.fire_at).label("at"))
    fired = {row.schedule: row.at for row in tx.all(last.group_by(firings.c.schedule))}
    found = []
    for row in tx.all(select(schedules)):
        schedule = _schedule(row)
        after = max(row.since, fired.get(row.name, row.since))
        latest = last_before(schedule, now)
        if latest > after:
            missed = 0
            for time in _times(schedule, after):
                if time.timestamp() >= latest or missed == COUNT_MOST:
                    break
                missed += 1
            found.append(Firing(schedule=schedule, fire_at=latest, missed=missed))
    return found


def fire(tx: Tx, now: float) -> int:
    """Fire what is due, each fire time once; return how many fired."""
    return sum(_fire(tx, firing, now) for firing in due(tx, now))


def _fire(tx: Tx, firing: Firing, now: float) -> bool:
    schedule, fire_at = firing.schedule, firing.fire_at
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = {"schedule": schedule.name, "fire_at": fire_at, "fired": now, "missed": firing.missed}
    query = insert(firings).values(**row).on_conflict_do_nothing().returning(firings.c.fire_at)
    if tx.one(query) is None:
        return False
    key = f"schedule:{schedule.name}:{fire_at:.0f}"
    if schedule.kind == "retrain":
        # The loop's own time: its traffic may be a replay of years ago, and cron is wall time.
        loop = schedule.payload["loop"]
        at = view(tx, loop).now or fire_at
        reason = f"{schedule.cron} in {schedule.tz}, due {iso(fire_at)}"
        if firing.missed:
            reason += f", also standing for {firing.missed} missed before it"
        event = m.RetrainRequested(
            loop=loop,
            at=at,
            by=f"schedule {schedule.name}",
            reason=reason,
        )
        return emit(tx, event, key)
    payload = {**schedule.payload, "schedule": schedule.name, "fire_at": fire_at}
    return bool(submit(tx, [NewTask(id=key, kind=schedule.kind, payload=payload)]))


def last_before(schedule: Schedule, now: float) -> float:
    """Return the newest fire time at or before ``now``."""
    back = _times(schedule, float(int(now)) + 1.0, reverse=True)
    latest = next(back).timestamp()
    # Backwards through the hour that clocks show twice finds the day before; go forward again.
    for time in _times(schedule, latest):
        if time.timestamp() > now:
            break
        latest = time.timestamp()
    return latest


def _times(schedule: Schedule, start: float, *, reverse: bool = False) -> Iterator[datetime]:
    try:
        zone = ZoneInfo(schedule.tz)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadInputError(f"There is no time zone {schedule.tz!r}.", field="tz") from error
    if len(schedule.cron.split()) != FIELDS:
        raise _no_cron(schedule.cron, f"it has {len(schedule.cron.split())} fields")
    try:
        at = datetime.fromtimestamp(start, zone).replace(microsecond=0)
        times: Iterator[datetime] = CronSim(schedule.cron, at, reverse=reverse)
    except CronSimError as error:
        raise _no_cron(schedule.cron, str(error)) from error
    return times


def _no_cron(cron: str, why: str) -> BadInputError:
    return BadInputError(
        f"{cron!r} is no cron expression: {why}.",
        field="cron",
        hint='Five fields: minute, hour, day, month, weekday, such as "30 2 * * 1".',
    )


def _schedule(row: Any) -> Schedule:
    return Schedule(
        name=row.name,
        cron=row.cron,
        tz=row.tz,
        kind=row.kind,
        payload=msgspec.json.decode(row.payload),
    )
