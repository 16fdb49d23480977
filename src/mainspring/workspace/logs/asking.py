"""Answer questions about the logs of a home, whoever asks: a command, the API or a page."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import NotFoundError
from mainspring.ground.logs import check_level
from mainspring.workspace.logs import reading
from mainspring.workspace.logs.lines import LogLine, Query, moment


def find(
    home: Path,
    query: Query,
    *,
    since: str | None = None,
    until: str | None = None,
    limit: int = 100,
    clock: Clock | None = None,
) -> list[LogLine]:
    """Return the newest lines that are asked for, newest first.

    ``since`` and ``until`` are times, or how long ago: see :func:`lines.moment`.

    Raises:
        BadInputError: for a time, level or text that cannot be asked for.
        NotFoundError: if no process of that name has written a log.
    """
    return reading.search(home / "logs", whole(home, query, since, until, clock), limit)


def whole(
    home: Path,
    query: Query,
    since: str | None = None,
    until: str | None = None,
    clock: Clock | None = None,
) -> Query:
    """Return a query with its times filled in, checked.

    Raises:
        BadInputError: for a time, level or text that cannot be asked for.
        NotFoundError: if no process of that name has written a log.
    """
    now = (clock or SystemClock()).now()
    filled = msgspec.structs.replace(
        query,
        level=check_level(query.level),
        since=query.since if since is None else moment(since, now, "since"),
        until=query.until if until is None else moment(until, now, "until"),
    ).check()
    known = reading.processes(home / "logs")
    if filled.process is not None and not any(filled.is_of(name) for name in known):
        raise NotFoundError(
            f"No process {filled.process[:80]!r} has written a log.",
            field="process",
            hint=f"There are: {', '.join(known) or 'none yet'}.",
        )
    return filled
