"""Bound how many lots of a pool have begun and not ended: the items of a map with a limit.

A lot is one task, or several that belong together, and has its place from when it may begin until
all of it has ended, however. The tasks of lots that have no place yet are *held*: they wait for
one thing more than what they need. So what is ready may be taken by whoever comes, and nobody
who asks for work ever looks through what has no place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, distinct, func, select, update

from mainspring.engine.moves import FINAL, move
from mainspring.engine.tables import tasks
from mainspring.ground.ports import Tx


def admit(tx: Tx, held: Iterable[Any]) -> None:
    """Give the free places of the pools of tasks that are held to their first lots."""
    for pool, size in {one.pool: one.pool_size for one in held if one.pool is not None}.items():
        _alone(tx, pool)
        begun = and_(tasks.c.pool == pool, tasks.c.held.is_(False), tasks.c.state.not_in(FINAL))
        row = tx.one(select(func.count(distinct(tasks.c.lot)).label("n")).where(begun))
        if row is not None and row.n < size:
            _let_in(tx, pool, size - row.n)


def leave(tx: Tx, ended: Any) -> None:
    """Give the place of a lot to the next one, if the task that ended was the last of it."""
    if ended.pool is None or ended.held:
        return
    _alone(tx, ended.pool)
    lot = and_(tasks.c.pool == ended.pool, tasks.c.held.is_(False), tasks.c.lot == ended.lot)
    if tx.one(select(tasks.c.id).where(lot, tasks.c.state.not_in(FINAL)).limit(1)) is None:
        _let_in(tx, ended.pool, 1)


def _let_in(tx: Tx, pool: str, places: int) -> None:
    held = and_(tasks.c.pool == pool, tasks.c.held, tasks.c.state == "waiting")
    query = select(tasks.c.lot).where(held).distinct().order_by(tasks.c.lot).limit(places)
    lots = [row.lot for row in tx.all(query)]
    if not lots:
        return
    # They are the lowest that are held: no other is between them.
    first, last = tasks.c.lot >= lots[0], tasks.c.lot <= lots[-1]
    change = {"held": False, "unfinished": tasks.c.unfinished - 1}
    tx.run(update(tasks).where(held, first, last).values(**change))
    begun = and_(tasks.c.pool == pool, tasks.c.held.is_(False), first, last)
    move(tx, and_(begun, tasks.c.unfinished <= 0), ["waiting"], "ready")


def _alone(tx: Tx, pool: str) -> None:
    """Let one transaction at a time see who is in a pool, and let others in.

    SQLite has one writer. On PostgreSQL two could end the last two tasks of a lot at once, and
    each would think that the other's goes on.
    """
    if tx.dialect == "postgresql":
        tx.one(select(func.pg_advisory_xact_lock(func.hashtext(pool))))
