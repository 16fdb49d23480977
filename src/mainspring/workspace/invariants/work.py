"""The promises of tasks and runs."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from mainspring.engine import tables as engine
from mainspring.engine.tasks import FINAL
from mainspring.experiments import tables as experiments
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace


def tasks(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001  one shape
    """Yield tasks that wait for what is not there, or count wrongly what they wait for."""
    task, need = engine.tasks.alias("task"), engine.tasks.alias("need")
    lost = (
        select(engine.edges.c.task, engine.edges.c.needs)
        .outerjoin(need, need.c.id == engine.edges.c.needs)
        .where(need.c.id.is_(None))
    )
    for row in tx.all(lost):
        yield f"Task {row.task} waits for {row.needs}, which is not there."
    open_ = (
        select(engine.edges.c.task, func.count().label("n"))
        .join(need, need.c.id == engine.edges.c.needs)
        .where(need.c.state.not_in(FINAL))
        .group_by(engine.edges.c.task)
    )
    counted = {row.task: int(row.n) for row in tx.all(open_)}
    waiting = select(task.c.id, task.c.unfinished, task.c.state).where(task.c.state == "waiting")
    for row in tx.all(waiting):
        found = counted.get(row.id, 0)
        if row.unfinished != found:
            yield f"Task {row.id} counts {row.unfinished} to wait for, and there are {found}."
        elif found == 0:
            yield f"Task {row.id} waits, and for nothing."


def leases(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield tasks at work without an owner or a lease."""
    table = engine.tasks
    for row in tx.all(select(table).where(table.c.state == "leased")):
        if row.owner is None or row.lease_until is None:
            lacks = "owner" if row.owner is None else "lease"
            yield f"Task {row.id} is at work and has no {lacks}."


def runs(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield runs of pipelines that are running with nothing left to do."""
    table, task = experiments.runs, engine.tasks
    for row in tx.all(
        select(table.c.id).where(table.c.status == "running", table.c.pipeline.is_not(None))
    ):
        states = {one.state for one in tx.all(select(task.c.state).where(task.c.group == row.id))}
        if states and states <= set(FINAL):
            yield f"Run {row.id} is running, and all of its tasks are over."
