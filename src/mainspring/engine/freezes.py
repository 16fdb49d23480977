"""Say whether a freeze is in force, and wake the loops that waited for its end.

A freeze belongs to people, so it follows the wall clock and their time zone, whatever event time
a loop's rows bear. The reactor puts its end into the view before the loop reacts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select

from mainspring.engine import schedules
from mainspring.engine.reactor import emit
from mainspring.engine.tables import views
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError
from mainspring.ground.loops import View
from mainspring.ground.objects import Freeze
from mainspring.ground.ports import Tx

MOST_S = 366 * 86_400.0  #: a longer one is no freeze but a pause
_CHAIN = 1000  #: freezes that touch are followed that far


def until(freezes: Sequence[Freeze], now: float) -> float | None:
    """Return when the freeze that is in force at ``now`` ends, or None if there is none.

    Those that overlap or touch are one; it begins with its first second and ends before its
    last. After a thousand in a row it says how far it looked.

    >>> until([Freeze(cron="0 18 * * 5", for_s=3600.0)], 86_400.0 + 18.5 * 3600)  # a Friday
    154800.0
    """
    end = None
    at = now
    for _ in range(_CHAIN):
        ends = [begun + one.for_s for one in freezes for begun in [_begun(one, at)]]
        latest = max((one for one in ends if one > at), default=None)
        if latest is None:
            return end
        end = at = latest
    return end


def check(freezes: Sequence[Freeze]) -> None:
    """Refuse a freeze that cannot be.

    Raises:
        BadInputError: for a cron line or time zone that cannot be used, or a length that is not
            above 0 and at most a year.
    """
    for one in freezes:
        schedules.upcoming(schedules.Schedule(name="freeze", cron=one.cron, tz=one.tz), 0.0)
        if not 0 < one.for_s <= MOST_S:
            raise BadInputError(
                f"A freeze lasts above 0 s and at most a year, found {one.for_s:g} s.",
                field="retraining.freeze.for_s",
                hint="Pause the loop for longer: mainspring loop pause NAME --reason WHY",
            )


def thaw(tx: Tx, now: float) -> bool:
    """Tell the loops whose freeze is over; return whether there was one. Told twice is once."""
    told = [emit(tx, m.FreezeEnded(loop=loop, at=0.0), key) for loop, key in over(tx, now)]
    return any(told)


def over(tx: Tx, now: float) -> list[tuple[str, str]]:
    """Return the loops whose freeze has ended unnoticed, with the key of the event about it."""
    kept = views.c.view
    waiting = kept.like('%"frozen_until":%') & ~kept.like('%"frozen_until":null%')
    found = []
    for row in tx.all(select(views.c.loop, kept).where(waiting)):
        ends = msgspec.json.decode(row.view, type=View).frozen_until
        if ends is not None and ends <= now:
            found.append((row.loop, f"freeze_ended:{row.loop}:{ends:.0f}"))
    return found


def _begun(one: Freeze, at: float) -> float:
    """Return when a freeze last began, at or before ``at``; far in the past if it never did."""
    schedule = schedules.Schedule(name="freeze", cron=one.cron, tz=one.tz)
    return schedules.last_before(schedule, at)
