"""Take what was deleted long enough ago out of the database, for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from mainspring.experiments.tables import deleted_runs, experiments, runs
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.keeping import owning
from mainspring.workspace.keeping.deleting import KeptRun
from mainspring.workspace.keeping.needs import AT_ONCE, needed
from mainspring.workspace.opening import Workspace


def going(tx: Tx, before: float) -> tuple[list[str], list[KeptRun]]:
    """Return the runs that were deleted before a time: those that may go, those that stay."""
    gone = select(deleted_runs.c.run).join(runs, runs.c.id == deleted_runs.c.run)
    # The newest first: what builds on a run came after it.
    order = gone.where(deleted_runs.c.at <= before).order_by(runs.c.started.desc(), runs.c.id)
    wanted = [row.run for row in tx.all(order)]
    kept = needed(tx, wanted, hidden_too=True)
    stay = [KeptRun(run=run, reason=kept[run]) for run in wanted if run in kept]
    return [run for run in wanted if run not in kept], stay


def purge_runs(ws: Workspace, before: float, tell: Callable[[int], None]) -> list[str]:
    """Take deleted runs out, some in each transaction; return which went.

    Whether a run may go is asked in the transaction that takes it out: what came to need it
    meanwhile keeps it.
    """
    done: list[str] = []
    while True:

        def work(tx: Tx) -> list[str]:
            part = going(tx, before)[0][:AT_ONCE]
            if part:
                owning.remove_runs(tx, part)
                tx.audit("gc.purge", f"{len(part)} runs", {"runs": part})
            return part

        part = ws.write(Permission.ADMIN, work)
        if not part:
            return done
        done += part
        tell(len(done))
        here("gc.purged")


def empty(before: float) -> Any:
    """Return the query for experiments that were deleted before a time and have no run left."""
    used = select(runs.c.id).where(runs.c.experiment == experiments.c.key).exists()
    gone = (experiments.c.deleted <= before) & (experiments.c.id != 0)
    return select(experiments).where(gone, ~used)


def purge_experiments(ws: Workspace, before: float) -> list[str]:
    """Take out experiments that were deleted before a time and have no run left."""

    def work(tx: Tx) -> list[str]:
        names = []
        for row in tx.all(empty(before)):
            owning.remove_experiment(tx, row.id)
            tx.audit("gc.purge", f"experiment:{row.key}", {"name": row.name})
            names.append(str(row.name))
        return names

    return ws.write(Permission.ADMIN, work)
