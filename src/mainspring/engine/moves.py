"""Move tasks from state to state: the one place that may, and what waits is counted down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, select, update

from mainspring.engine.tables import edges, tasks
from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import MOVES
from mainspring.ground.ports import Tx

FINAL = ("done", "failed", "skipped", "cancelled")
OPEN = ("waiting", "ready", "leased")
BROKEN = ("failed", "skipped", "cancelled")


def move(
    tx: Tx, which: ColumnElement[bool], old: Sequence[str], new: str, **values: Any
) -> Sequence[Any]:
    """Change the state of tasks and return their rows.

    Raises:
        ConflictError: if ``MOVES`` does not allow it.
    """
    return tx.all(moving(which, old, new, **values))


def moving(which: ColumnElement[bool], old: Sequence[str], new: str, **values: Any) -> Any:
    """Return the statement that changes the state of tasks: no other may.

    Raises:
        ConflictError: if ``MOVES`` does not allow it.
    """
    for state in old:
        if new not in MOVES["task"][state]:
            raise ConflictError(f"A task that is {state} cannot become {new}.")
    change = update(tasks).where(which, tasks.c.state.in_(old)).values(state=new, **values)
    return change.returning(*tasks.c)


def count_down(tx: Tx, task_id: str) -> None:
    """Let a waiting task wait for one less; if it waits for nothing more it is ready."""
    _one_less(tx, "itself", task_id)


def count_children_down(tx: Tx, task_id: str) -> None:
    """Let all that waits for a task wait for one less."""
    _one_less(tx, "children", task_id)


def _one_less(tx: Tx, whose: str, task_id: str) -> None:
    less, ready = _counting(whose)
    left = tx.all(less, {"id_": task_id})
    if any(row.unfinished <= 0 for row in left):
        tx.all(ready, {"id_": task_id})


@cache
def _counting(whose: str) -> tuple[Any, Any]:
    """Return what counts a task, or its children, down, and what makes ready at zero."""
    children = select(edges.c.task).where(edges.c.needs == bindparam("id_"))
    which = tasks.c.id.in_(children) if whose == "children" else tasks.c.id == bindparam("id_")
    waiting = and_(which, tasks.c.state == "waiting")
    less = update(tasks).where(waiting).values(unfinished=tasks.c.unfinished - 1)
    ready = moving(and_(waiting, tasks.c.unfinished <= 0), ["waiting"], "ready")
    return less.returning(tasks.c.unfinished), ready
