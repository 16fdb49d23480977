"""Note how far everything is settled, so that others can wait for it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from mainspring.engine.inserting import insert
from mainspring.engine.tables import marks
from mainspring.ground.ports import Tx


def read(tx: Tx) -> dict[str, float]:
    """Return every mark by name."""
    return {row.name: row.value for row in tx.all(select(marks.c.name, marks.c.value))}


def note(tx: Tx, values: Mapping[str, float], now: float) -> None:
    """Set marks; ``now`` is wall time."""
    for name, value in values.items():
        new = {"value": value, "at": now}
        query = insert(tx, marks).values(name=name, **new)
        tx.run(query.on_conflict_do_update(index_elements=["name"], set_=new))
