"""Move tasks from state to state: the one place that may, and what waits is counted down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, update

from mainspring.engine.tables import tasks
from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import MOVES
from mainspring.ground.ports import Tx

FINAL = ("done", "failed", "skipped", "cancelled")
BROKEN = ("failed", "skipped", "cancelled")


def move(
    tx: Tx, which: ColumnElement[bool], old: Sequence[str], new: str, **values: Any
) -> Sequence[Any]:
    """Change the state of tasks and return their rows: the only place that may.

    Raises:
        ConflictError: if ``MOVES`` does not allow it.
    """
    for state in old:
        if new not in MOVES["task"][state]:
            raise ConflictError(f"A task that is {state} cannot become {new}.")
    change = update(tasks).where(which, tasks.c.state.in_(old)).values(state=new, **values)
    return tx.all(change.returning(*tasks.c))


def count_down(tx: Tx, which: ColumnElement[bool]) -> None:
    """Let waiting tasks wait for one less; those that wait for nothing more are ready."""
    waiting = and_(which, tasks.c.state == "waiting")
    if tx.run(update(tasks).where(waiting).values(unfinished=tasks.c.unfinished - 1)):
        move(tx, and_(waiting, tasks.c.unfinished <= 0), ["waiting"], "ready")
