"""Say when a schedule fires: by a cron line in a time zone, or at equal distances from an anchor.

The rule where clocks change is that of Debian's cron. A line whose minute or hour begins with
``*`` follows real time: each minute that the wall clock shows fires, a minute that it shows twice
fires twice, one that it skips never comes. Any other line means times of the day: each fires once
a day, at the first of the two where the clock shows it twice, and right after the gap where the
clock skips it. Distances are real time and know no clocks.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from mainspring.ground.errors import BadInputError

FIELDS = 5  # a sixth would be seconds, which nobody looks often enough for
MOST_EVERY_S = 366 * 86_400.0
#: Times of cron are looked for within windows that double, the first as long as this.
_WINDOW_S = 4 * 3600.0
#: The longest window: 29 February comes every eight years at least.
_LONGEST_S = 9 * 366 * 86_400.0

#: Clocks move by an hour, in some places by half of one; two leave room.
_SHIFT_S = 7200.0

CatchUp = Literal["skip", "latest", "all"]
Overlap = Literal["skip", "queue", "allow"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What fires when. Times are those of its time zone, daylight saving included."""

    name: str
    cron: str = ""  #: five fields, such as "30 2 * * 1"; empty where ``every_s`` is given
    tz: str = "UTC"
    kind: str = "retrain"  #: "retrain" asks the loop in payload["loop"]; else a task's kind
    payload: dict[str, Any] = {}
    every_s: float | None = None  #: whole seconds from one fire time to the next
    anchor: float = 0.0  #: UTC seconds from which ``every_s`` counts, both ways
    start: float | None = None  #: nothing before it fires, UTC seconds
    end: float | None = None  #: nothing after it fires, UTC seconds
    catch_up: CatchUp = "latest"  #: which times nobody was there for still fire
    most: int = 100  #: of "all": so many at most, the newest
    overlap: Overlap = "allow"  #: what a fire time does while the run before goes on
    jitter_s: float = 0.0  #: work begins so much later at most, always the same for one time

    @property
    def words(self) -> str:
        """Return when it fires as people say it.

        >>> Schedule(name="n", every_s=21600.0).words
        'every 21600 s'
        """
        if self.every_s is not None:
            return f"every {self.every_s:g} s"
        return f"{self.cron} in {self.tz}"


def check(schedule: Schedule, now: float) -> None:
    """Refuse a schedule that cannot fire.

    Raises:
        BadInputError: for a cron line, time zone, distance or span that cannot be used, or one
            that never comes.
    """
    if (schedule.every_s is None) == (not schedule.cron):
        raise BadInputError(
            "A schedule fires by a cron line or at a distance: give one of the two.",
            field="cron",
            hint="Such as --cron '30 2 * * 1', or --every 6h.",
        )
    every = schedule.every_s
    if every is not None and not (1 <= every <= MOST_EVERY_S and every == int(every)):
        raise BadInputError(
            f"every must be whole seconds, from 1 s to a year, found {every:g} s.", field="every"
        )
    if not math.isfinite(schedule.anchor):
        raise BadInputError("anchor must be a point in time.", field="anchor")
    begin, end = schedule.start, schedule.end
    if begin is not None and end is not None and begin > end:
        raise BadInputError("The schedule ends before it begins.", field="end")
    if next(times(schedule, max(now, begin or now)), None) is None:
        when = "before its end" if end is not None else "within fifty years"
        field = "end" if end is not None else "cron"
        raise BadInputError(f"{schedule.words} never comes {when}.", field=field)


def times(schedule: Schedule, after: float) -> Iterator[float]:
    """Yield the fire times after ``after`` in their order, UTC seconds, without end.

    Raises:
        BadInputError: if the cron line or the time zone cannot be used.
    """
    if schedule.start is not None and schedule.start > after:
        after = math.nextafter(schedule.start, -math.inf)  # the start itself may be one
    found = _distances(schedule, after) if schedule.every_s is not None else _cron(schedule, after)
    for at in found:
        if schedule.end is not None and at > schedule.end:
            return
        yield at


def upcoming(schedule: Schedule, now: float, count: int = 1) -> list[float]:
    """Return the next fire times after ``now``: fewer where the schedule ends before.

    >>> upcoming(Schedule(name="nightly", cron="30 2 * * *"), 0.0)
    [9000.0]
    """
    return [at for at, _ in zip(times(schedule, now), range(count), strict=False)]


def newest(schedule: Schedule, after: float, now: float, count: int) -> list[float]:
    """Return the fire times after ``after`` up to ``now``, oldest first; the newest ``count``.

    It looks back from ``now`` in windows that double, for there may be years between the two.
    """
    window = min(_WINDOW_S, schedule.every_s or _WINDOW_S)
    while True:
        begin = max(after, now - window)
        found: deque[float] = deque(maxlen=count)
        for at in times(schedule, begin):
            if at > now:
                break
            found.append(at)
        if len(found) == count or begin <= after:
            return list(found)
        window *= 2


def last_before(schedule: Schedule, now: float) -> float:
    """Return the newest fire time at or before ``now``; minus infinity if there was none."""
    found = newest(schedule, now - _LONGEST_S, now, 1)
    return found[0] if found else -math.inf


def _distances(schedule: Schedule, after: float) -> Iterator[float]:
    every = schedule.every_s or 1.0
    number = math.floor((after - schedule.anchor) / every) + 1
    while True:
        # Counted from the anchor each time: a sum of steps would drift.
        yield schedule.anchor + number * every
        number += 1


def _cron(schedule: Schedule, after: float) -> Iterator[float]:
    try:
        zone = ZoneInfo(schedule.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(
            f"There is no time zone {schedule.tz[:80]!r}.",
            field="tz",
            hint="One of the names of the IANA list, such as Europe/Berlin or UTC.",
        ) from error
    if len(schedule.cron.split()) != FIELDS:
        raise _no_cron(schedule.cron, f"it has {len(schedule.cron.split())} fields")
    start = datetime.fromtimestamp(math.floor(after), zone)
    minute, hour, *_ = schedule.cron.split()
    real = zone.key != "UTC" and (minute.startswith("*") or hour.startswith("*"))
    try:
        if real:
            begin = start.replace(tzinfo=None) - timedelta(seconds=_SHIFT_S)
            found = _real(CronSim(schedule.cron, begin), zone)
        else:
            found = (at.timestamp() for at in CronSim(schedule.cron, start))
    except (CronSimError, ValueError) as error:
        raise _no_cron(schedule.cron, str(error)) from error
    last = after
    for at in found:
        # Looked for from within the second of two equal hours it names the first again.
        if at > last:
            last = at
            yield at


def _real(wall: Iterator[datetime], zone: ZoneInfo) -> Iterator[float]:
    """Yield the seconds at which a wall clock shows these times, in their order.

    A time that is shown twice comes twice, one that is not shown not at all. CronSim's own way
    moves by whole hours, and loses times where clocks move by half of one.
    """
    waiting: list[float] = []
    for at in wall:
        both = {at.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)}
        for seconds in both:
            if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) == at:
                heapq.heappush(waiting, seconds)
        # A later time of the wall clock may be an earlier second, by as much as clocks move.
        while waiting and waiting[0] < min(both) - _SHIFT_S:
            yield heapq.heappop(waiting)
    yield from sorted(waiting)


def _no_cron(cron: str, why: str) -> BadInputError:
    return BadInputError(
        f"{cron[:200]!r} is no cron expression: {why}.",
        field="cron",
        hint='Five fields: minute, hour, day, month, weekday, such as "30 2 * * 1".',
    )
