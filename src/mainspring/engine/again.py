"""Do again what broke: all of a group once it has ended, or some of it while it is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_, select, update

from mainspring.engine import pools
from mainspring.engine.moves import BROKEN, move
from mainspring.engine.tables import edges, tasks
from mainspring.ground.errors import ConflictError
from mainspring.ground.ports import Tx

_MOST_NAMED = 500  # SQLite takes a bounded number of variables


def retry(tx: Tx, group: str, leave: Collection[str] = ()) -> int:
    """Go on from where a group broke: what failed is ready again, what is done stays done.

    ``always`` tasks behind something that runs again run again too; those to ``leave`` stay as
    they are, for somebody has dealt with their failure. Returns how many tasks came back.

    Raises:
        ConflictError: if something of the group is still at work.
    """
    rows = {r.id: r for r in tx.all(select(tasks).where(tasks.c.group == group))}
    if any(row.state in ("ready", "leased") for row in rows.values()):
        raise ConflictError(
            f"{group} is still at work.", hint="Wait for it to end, or cancel it first."
        )
    mine = select(tasks.c.id).where(tasks.c.group == group)
    needs = _needs_of(rows, tx.all(select(edges).where(edges.c.task.in_(mine))))
    again_ = {one for one, row in rows.items() if row.state in BROKEN} - set(leave)
    behind = {one for one in rows if rows[one].always and rows[one].state == "done"}
    while more := {one for one in behind - again_ if needs[one] & again_}:
        again_ |= more
    _come_back(tx, {one: rows[one] for one in again_}, needs, {})
    return len(again_)


def some(tx: Tx, ids: Collection[str], due: float, as_ever: Collection[str] = ()) -> int:
    """Let some tasks that broke be done again while their group is at work; return how many.

    What waits for their end waits for it once more. Those that need none of the others are due
    at ``due``, those of ``as_ever`` when they were. What is named and did not break is left.
    """
    rows: dict[str, Any] = {}
    for part in _parts([*ids, *as_ever]):
        broke = and_(tasks.c.id.in_(part), tasks.c.state.in_(BROKEN))
        rows |= {row.id: row for row in tx.all(select(tasks).where(broke))}
    found: list[Any] = []
    for part in _parts(rows):
        found += tx.all(select(edges).where(or_(edges.c.task.in_(part), edges.c.needs.in_(part))))
    pairs = {(one.task, one.needs) for one in found}  # met from both sides, perhaps
    for child, more in Counter(child for child, need in pairs if need in rows).items():
        if child not in rows:
            waits = and_(tasks.c.id == child, tasks.c.state == "waiting")
            tx.run(update(tasks).where(waits).values(unfinished=tasks.c.unfinished + more))
    needs = _needs_of(rows, [one for one in found if one.task in rows])
    first = {one for one in rows if not needs[one] & rows.keys()} - set(as_ever)
    _come_back(tx, rows, needs, dict.fromkeys(first, due))
    return len(rows)


def _needs_of(rows: Mapping[str, Any], pairs: Sequence[Any]) -> dict[str, set[str]]:
    needs: dict[str, set[str]] = {one: set() for one in rows}
    for pair in pairs:
        needs[pair.task].add(pair.needs)
    return needs


def _come_back(
    tx: Tx, rows: Mapping[str, Any], needs: Mapping[str, set[str]], due: Mapping[str, float]
) -> None:
    """Make tasks ready again, or waiting for those of them that they need.

    ``due`` says before when nobody takes some of them.
    """
    for one, row in rows.items():
        pooled = row.pool is not None
        inner = len(needs[one] & rows.keys())
        change = {
            "held": pooled,
            "unfinished": inner + pooled,
            "last_attempt": tasks.c.attempt + tasks.c.max_attempts,
            # Never tried: due as ever.
            "due": due.get(one) if row.attempt or one in due else tasks.c.due,
            "stop": False,
            "error": "",
            "trace": "",
            "ended": None,
        }
        state = "waiting" if inner + pooled else "ready"
        move(tx, tasks.c.id == one, [row.state], state, **change)
    pools.admit(tx, rows.values())


def _parts(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield so many ids at a time as a statement takes."""
    every = list(ids)
    for start in range(0, len(every), _MOST_NAMED):
        yield every[start : start + _MOST_NAMED]
