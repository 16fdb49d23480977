"""Show the steps of a run of any width: of a very wide one some, and how many stand how.

Whoever looks at a run of 100,000 items looks at what failed, at what is at work, and at a few of
the others. The rest is counted, in an index alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, case, func, select

from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines.reading import record_of, steps_of
from mainspring.pipelines.tables import steps

MOST = 2_000  #: planted steps that are shown one by one
_OF_EACH = 200  #: that failed, and that are at work
#: How an item stands as a whole: as the worst off of its steps.
_WORST = (
    StepState.FAILED,
    StepState.RUNNING,
    StepState.WAITING,
    StepState.SKIPPED,
    StepState.DONE,
    StepState.REUSED,
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a run, all of them or some."""

    steps: list[StepRecord]
    states: dict[str, int]  #: of all its steps, how many are in each
    items: Mapping[str, Mapping[str, int]] = {}  #: by controller, of what is not wholly shown

    @property
    def left_out(self) -> int:
        """Return how many steps are not among those shown."""
        return sum(self.states.values()) - len(self.steps)


def shown(tx: Tx, run: str, most: int | None = None) -> Shown:
    """Return the steps of a run, in an order in which they may run; of a wide run some.

    All that were wired, and of what grew at most ``most`` (2,000): what failed, what is at work,
    then the first of the others.
    """
    most = MOST if most is None else most
    mine = steps.c.run == run
    grown = mine & steps.c.within.is_not(None)
    counted = select(steps.c.state, func.count().label("several")).where(grown)
    rows = tx.all(counted.group_by(steps.c.state))
    if sum(row.several for row in rows) <= most:
        found = steps_of(tx, run)
        return Shown(steps=found, states=_counts([one.state for one in found]))
    top = tx.all(select(steps).where(mine & steps.c.within.is_(None)))
    kept = {row.id: row for row in top}
    for state in (StepState.FAILED, StepState.RUNNING):
        kept |= _some(tx, grown & (steps.c.state == str(state)), _OF_EACH)
    kept |= _some(tx, grown, max(0, most - (len(kept) - len(top))))
    ordered = sorted(kept.values(), key=lambda row: (row.position, row.id))
    states = _counts([row.state for row in top])
    for row in rows:
        states[row.state] = states.get(row.state, 0) + row.several
    return Shown(steps=[record_of(one) for one in ordered], states=states, items=_items(tx, grown))


def _some(tx: Tx, which: ColumnElement[bool], most: int) -> dict[int, Any]:
    """Return rows by their ids, those of the first items first: in the order of the index."""
    query = select(steps).where(which).order_by(steps.c.within, steps.c.state, steps.c.lot)
    return {row.id: row for row in tx.all(query.limit(most))}


def _items(tx: Tx, grown: ColumnElement[bool]) -> dict[str, dict[str, int]]:
    """Return how many items of each controller stand how."""
    ranks = {str(state): rank for rank, state in enumerate(_WORST)}
    worst = func.min(case(ranks, value=steps.c.state, else_=len(_WORST))).label("worst")
    each = select(steps.c.within, worst).where(grown).group_by(steps.c.within, steps.c.lot)
    of = each.subquery()
    query = select(of.c.within, of.c.worst, func.count().label("several"))
    found: dict[str, dict[str, int]] = {}
    for row in tx.all(query.group_by(of.c.within, of.c.worst)):
        found.setdefault(row.within, {})[str(_WORST[row.worst])] = row.several
    return found


def _counts(states: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in states:
        found[str(state)] = found.get(str(state), 0) + 1
    return found
