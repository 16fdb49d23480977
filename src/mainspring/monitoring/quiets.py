"""Keep when nobody is to be paged: maintenance, once or by the clock, and rests of one rule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError
from sqlalchemy import delete, insert, select

from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import DAY_S
from mainspring.ground.ports import Tx
from mainspring.ground.rules import Quiet
from mainspring.monitoring.alarm_tables import quiets

LONGEST_S = 31 * DAY_S  #: of a time that comes again and again
_FIELDS = 5


def check(quiet: Quiet) -> None:
    """Refuse a time that cannot be.

    Raises:
        BadInputError: naming the field that is wrong.
    """
    if not quiet.reason.strip():
        raise BadInputError("A quiet time needs a reason.", field="reason")
    if quiet.cron:
        _check_cron(quiet)
        return
    if quiet.starts is None or quiet.ends is None or not quiet.starts < quiet.ends:
        raise BadInputError(
            "A quiet time has a beginning and a later end, or a cron line and a duration.",
            field="until",
            hint="Such as --for 2h, or --cron '0 3 * * 0' --for 90m --tz Europe/Berlin.",
        )


def _check_cron(quiet: Quiet) -> None:
    if quiet.starts is not None or quiet.ends is not None:
        raise BadInputError("A cron line has no beginning and end of its own.", field="cron")
    if not (0 < quiet.duration_s <= LONGEST_S and math.isfinite(quiet.duration_s)):
        raise BadInputError(
            f"duration must be above 0 s and at most 31 days, found {quiet.duration_s:g} s.",
            field="duration_s",
        )
    if len(quiet.cron.split()) != _FIELDS:
        raise BadInputError(
            f"cron has five fields, such as '0 3 * * 0', found {quiet.cron[:80]!r}.", field="cron"
        )
    last_start(quiet, 0.0)


def last_start(quiet: Quiet, now: float) -> float | None:
    """Return when a time that comes again and again last began, at or before ``now``.

    Wall clock of its time zone, so that 03:00 stays 03:00 when the clocks change.

    Raises:
        BadInputError: if the cron line or the time zone cannot be used.

    >>> last_start(Quiet(id="q", reason="r", by="b", cron="0 3 * * *"), 100_000.0)
    97200.0
    """
    try:
        zone = ZoneInfo(quiet.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"There is no time zone {quiet.tz[:80]!r}.", field="tz") from error
    try:
        ahead = datetime.fromtimestamp(float(int(now)) + 1.0, zone).replace(microsecond=0)
        found = next(CronSim(quiet.cron, ahead, reverse=True)).timestamp()
        # Backwards through the hour that clocks show twice finds the day before: forward again.
        for time in CronSim(quiet.cron, datetime.fromtimestamp(found, zone)):
            if time.timestamp() > now:
                break
            found = time.timestamp()
    except CronSimError as error:
        raise BadInputError(
            f"cron cannot be read: {quiet.cron[:80]!r}: {error}.", field="cron"
        ) from error
    except (StopIteration, OverflowError, ValueError):
        return None
    return found


def is_quiet(quiet: Quiet, now: float) -> bool:
    """Return whether a quiet time is on."""
    if not quiet.cron:
        return quiet.starts is not None and quiet.starts <= now < (quiet.ends or 0.0)
    began = last_start(quiet, now)
    return began is not None and now < began + quiet.duration_s


def overlap_s(quiet: Quiet, since: float, until: float) -> float:
    """Return for how many seconds of ``since`` to ``until`` a quiet time is on.

    >>> overlap_s(Quiet(id="q", reason="r", by="b", starts=5.0, ends=9.0), 0.0, 8.0)
    3.0
    """
    if not quiet.cron:
        return max(0.0, min(until, quiet.ends or 0.0) - max(since, quiet.starts or 0.0))
    covered, ahead = 0.0, until
    while ahead > since and (began := last_start(quiet, ahead)) is not None:
        ends = min(began + quiet.duration_s, ahead)
        if ends <= since:
            break
        covered += ends - max(began, since)
        ahead = began - 1.0
    return covered


def hushed(
    every: Iterable[Quiet],
    endpoint: str,
    subjects: Iterable[str],
    now: float,
    span: tuple[float, float] | None = None,
) -> str:
    """Return why nobody is to be paged about this now, or an empty text.

    ``subjects`` are the names under which it may be meant: a rule's name, ``drift:temp``.
    ``span`` is the event time of the window in question: if half of it or more lay in a
    maintenance, its rows are no reason to page when that is over.
    """
    names = {"", *subjects}
    for quiet in every:
        if quiet.endpoint not in ("", endpoint) or quiet.subject not in names:
            continue
        if is_quiet(quiet, now) or (span is not None and _is_its(quiet, span)):
            until = f" until {iso(quiet.ends)}" if quiet.ends is not None else ""
            return f"Quiet{until} ({quiet.by}: {quiet.reason})"
    return ""


def _is_its(quiet: Quiet, span: tuple[float, float]) -> bool:
    length = span[1] - span[0]
    return length > 0 and overlap_s(quiet, *span) >= length / 2


def add(tx: Tx, quiet: Quiet, now: float) -> Quiet:
    """Keep a quiet time.

    Raises:
        BadInputError: as :func:`check`.
    """
    check(quiet)
    tx.run(insert(quiets).values(id=quiet.id, quiet=canonical(quiet).decode(), made=now))
    detail = {"endpoint": quiet.endpoint, "subject": quiet.subject, "cron": quiet.cron}
    tx.audit("quiet.add", f"quiet:{quiet.id}", detail, quiet.reason)
    return quiet


def remove(tx: Tx, name: str) -> None:
    """End a quiet time.

    Raises:
        NotFoundError: if there is none by that id.
    """
    if tx.run(delete(quiets).where(quiets.c.id == name)) == 0:
        raise NotFoundError(f"There is no quiet time {name[:80]!r}.", field="id")
    tx.audit("quiet.remove", f"quiet:{name}", {})


def every(tx: Tx, now: float | None = None) -> list[Quiet]:
    """Return quiet times, newest first; with ``now`` those that can still matter.

    A window may be judged long after its rows, so that a time that is over matters for another
    month.
    """
    rows = tx.all(select(quiets).order_by(quiets.c.made.desc(), quiets.c.id))
    found = [_read(row) for row in rows]
    if now is None:
        return found
    return [one for one in found if one.ends is None or one.ends > now - LONGEST_S]


def _read(row: Any) -> Quiet:
    return msgspec.json.decode(row.quiet, type=Quiet)
