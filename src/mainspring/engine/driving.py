"""Say who drives groups of tasks just now: somebody, nobody yet, nobody any more.

Nothing of this is kept. It is read off the leases and off what could be done now, so that it is
true of engines that were killed too, which wrote nothing when they ended.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Float, and_, bindparam, func, select

from mainspring.engine.tables import tasks
from mainspring.engine.tasks import due
from mainspring.ground import living
from mainspring.ground.ports import Tx

#: How engines are called that take work of any group; others drive one, or do some kinds only.
FOR_ALL = "engine:"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a group's work stands."""

    held: bool = False  #: somebody who may be alive works on a task of it
    lost: float | None = None  #: a task's worker died: since when it had worked on it, wall time
    ready: float | None = None  #: something could be done: since when the group rests, wall time


def standing(tx: Tx, groups: Collection[str], now: float) -> Standing:
    """Return how the work of some groups stands, taken together."""
    lost: float | None = None
    for group in groups:
        for row in tx.all(_leased(), {"group_": group}):
            if not _is_lost(tx, row):
                return Standing(held=True)
            lost = max(lost or 0.0, row.started or 0.0)
    if lost is not None:
        return Standing(lost=lost)
    free = [one for one in groups if tx.one(_ready(), {"group_": one, "now_": now}) is not None]
    return Standing(ready=max((_rests_since(tx, one) for one in free), default=None))


def engines_alive(tx: Tx) -> bool:
    """Return whether an engine that takes work of any group holds a lease that runs."""
    rows = tx.all(_every_lease())
    return any(str(row.owner).startswith(FOR_ALL) and not _is_lost(tx, row) for row in rows)


def _is_lost(tx: Tx, row: Any) -> bool:
    """Return whether the worker of a leased task does not live any more, as far as we can tell."""
    now, begun = tx.lease_now(), row.lease_until - row.lease_s
    # As for leases: one that begins in the future was given before the machine's last boot.
    return row.lease_until <= now or begun > now or living.is_dead(row.owner or "")


def _rests_since(tx: Tx, group: str) -> float:
    row = tx.one(_moved(), {"group_": group})
    return max(row.started or 0.0, row.ended or 0.0) if row is not None else 0.0


@cache
def _leased() -> Any:
    mine = and_(tasks.c.group == bindparam("group_"), tasks.c.state == "leased")
    return select(*_LEASE).where(mine)


@cache
def _every_lease() -> Any:
    return select(*_LEASE).where(tasks.c.state == "leased")


_LEASE = (tasks.c.owner, tasks.c.lease_until, tasks.c.lease_s, tasks.c.started)


@cache
def _ready() -> Any:
    free = and_(tasks.c.state == "ready", due(bindparam("now_", type_=Float)))
    return select(tasks.c.id).where(tasks.c.group == bindparam("group_"), free).limit(1)


@cache
def _moved() -> Any:
    newest = func.max(tasks.c.started).label("started"), func.max(tasks.c.ended).label("ended")
    return select(*newest).where(tasks.c.group == bindparam("group_"))
